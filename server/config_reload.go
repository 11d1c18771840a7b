package server

import (
	"fmt"
	"reflect"
	"strings"
)

// Reload reads path again for a running server. It applies whole or not at
// all: if the file has a problem, or changes a key that needs a restart, the
// error says so and nothing changes. changed lists the keys that differ.
func Reload(running *Config, path string) (next *Config, changed []string, err error) {
	next, err = Load(path)
	if err != nil {
		return nil, nil, err
	}
	var restart []string
	nv := map[string]reflect.Value{}
	walk(reflect.ValueOf(next).Elem(), "", func(key string, _ reflect.StructField, v reflect.Value) { nv[key] = v })
	walk(reflect.ValueOf(running).Elem(), "", func(key string, f reflect.StructField, v reflect.Value) {
		if f.Type.Kind() == reflect.Struct || reflect.DeepEqual(v.Interface(), nv[key].Interface()) {
			return
		}
		changed = append(changed, key)
		if f.Tag.Get("live") != "yes" {
			restart = append(restart, key)
		}
	})
	if len(restart) > 0 {
		return nil, nil, fmt.Errorf("config: reload refused, nothing was changed: a restart is needed for %s", strings.Join(restart, ", "))
	}
	return next, changed, nil
}
