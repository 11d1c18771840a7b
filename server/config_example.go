package server

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// Example is a complete configuration file with every key at its default and
// its documentation above it, made from the tags of Config. It loads.
func Example() []byte {
	var b bytes.Buffer
	b.WriteString("# Parlance configuration. Every key is shown with its default; leave out what you don't change.\n")
	b.WriteString("# Check it with: parlance config check FILE\n")
	b.WriteString("# \"Per host\": parlance host set HOST KEY=VALUE sets it differently for one of your domains.\n")
	walk(reflect.ValueOf(Default()).Elem(), "", func(key string, f reflect.StructField, v reflect.Value) {
		if f.Type.Kind() == reflect.Struct {
			fmt.Fprintf(&b, "\n[%s]\n", key)
			return
		}
		b.WriteByte('\n')
		for _, line := range wrap(docOf(f), 96) {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		fmt.Fprintf(&b, "%s = %s\n", f.Tag.Get("toml"), literal(v))
	})
	return b.Bytes()
}

func docOf(f reflect.StructField) string {
	doc := f.Tag.Get("doc")
	if f.Tag.Get("live") == "yes" {
		doc += " A reload (SIGHUP) applies it."
	}
	if f.Tag.Get("host") == "yes" {
		doc += " Per host."
	}
	return doc
}

// literal writes a value as TOML.
func literal(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err == nil {
			return quote(string(text))
		}
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = literal(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// quote writes a TOML basic string; our defaults hold no control characters.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// wrap breaks text at spaces into lines of at most n bytes.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > n {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
