package server

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// hostConfig is what holds on a host: the file's configuration with what is set
// differently on it. Whatever is wrong is a *host.Refused.
func hostConfig(file *Config, at jid.JID, set host.Settings) (*Config, error) {
	c := *file // lists are replaced, never changed in place
	if at.Domain() != file.Domain {
		c.Domain = at.Domain()
		// The address of the first host's rooms is its own; that there are none holds for all.
		if c.Rooms.Domain != "off" {
			c.Rooms.Domain = ""
		}
	}
	fields := map[string]reflect.Value{}
	walk(reflect.ValueOf(&c).Elem(), "", func(key string, f reflect.StructField, v reflect.Value) {
		if f.Type.Kind() != reflect.Struct && f.Tag.Get("host") == "yes" {
			fields[key] = v
		}
	})
	for key, text := range set {
		v, ok := fields[key]
		if !ok {
			return nil, notPerHost(key, fields)
		}
		if strings.HasPrefix(key, "tls.") && !filepath.IsAbs(text) {
			return nil, host.Refuse("%s: %q is not an absolute path", key, text)
		}
		if err := setText(v, text); err != nil {
			return nil, host.Refuse("%s: %s", key, err)
		}
	}
	if p := c.Check(); len(p) > 0 {
		return nil, host.Refuse("%s", p.Error())
	}
	return &c, nil
}

// notPerHost names the nearest key that can differ.
func notPerHost(key string, fields map[string]reflect.Value) error {
	var known []string
	for k := range fields {
		known = append(known, k)
	}
	slices.Sort(known)
	if slices.Contains(Keys(), key) {
		return host.Refuse("%s holds for the whole server: it stands in the configuration file", key)
	}
	return host.Refuse("unknown key %q; the nearest known key is %q", key, nearest(key, known))
}

// setText sets a field from what a person writes; a list has commas.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case reflect.Slice:
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("it can't be set")
	}
	return nil
}

// text is the other way.
func text(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(v.Interface())
}

// hostSettings lists everything that can differ, as it holds on a host.
func hostSettings(c *Config, own host.Settings) (out []host.Setting) {
	walk(reflect.ValueOf(c).Elem(), "", func(key string, f reflect.StructField, v reflect.Value) {
		if f.Type.Kind() != reflect.Struct && f.Tag.Get("host") == "yes" {
			_, is := own[key]
			out = append(out, host.Setting{Key: key, Value: text(v), Own: is})
		}
	})
	return out
}
