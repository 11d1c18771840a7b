package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Load reads the file on top of Default and checks the result. With an empty
// path it is Default. The error names every problem, not only the first.
func Load(path string) (*Config, error) {
	c := Default()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		if c, err = Parse(b); err != nil {
			return nil, fmt.Errorf("config: %s: %w", path, err)
		}
		c.resolve(filepath.Dir(path))
	}
	if p := c.Check(); len(p) > 0 {
		return nil, fmt.Errorf("config: %w", p)
	}
	return c, nil
}

// Parse decodes TOML on top of Default. A key we do not know is an error that
// names the nearest known one: a typing error must not silently mean "default".
func Parse(b []byte) (*Config, error) {
	c := Default()
	dec := toml.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(c)
	if err == nil {
		return c, nil
	}
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		return nil, unknownKeys(strict)
	}
	var de *toml.DecodeError
	if errors.As(err, &de) {
		row, _ := de.Position()
		text := plainText(de.Error())
		if key := strings.Join(de.Key(), "."); key != "" {
			return nil, fmt.Errorf("line %d: %s: %s", row, key, text)
		}
		return nil, fmt.Errorf("line %d: %s", row, text)
	}
	return nil, err
}

var goType = regexp.MustCompile(`cannot decode TOML (\w+) into struct field \S+ of type (\S+)`)

// plainText takes the Go types out of the decoder's message: operators write TOML.
func plainText(msg string) string {
	msg = strings.TrimPrefix(msg, "toml: ")
	m := goType.FindStringSubmatch(msg)
	if m == nil {
		return msg
	}
	want := map[string]string{
		"string": "text in quotes", "int": "a whole number", "bool": "true or false", "[]string": "a list like [\"a\", \"b\"]",
	}[m[2]]
	if want == "" {
		want = "something else"
	}
	return fmt.Sprintf("found %s %s, expected %s", article(m[1]), m[1], want)
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an"
	}
	return "a"
}

// resolve makes relative paths count from the configuration file's folder.
func (c *Config) resolve(dir string) {
	for _, p := range []*string{&c.Data, &c.Listen.Admin, &c.TLS.Cert, &c.TLS.Key, &c.Login.ClientCA, &c.Login.ClientCRL} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if file, ok := strings.CutPrefix(c.Storage.DSN, "sqlite:"); ok && !filepath.IsAbs(file) {
		c.Storage.DSN = "sqlite:" + filepath.Join(dir, file)
	}
}

func unknownKeys(e *toml.StrictMissingError) error {
	known := Keys()
	var errs []error
	for i := range e.Errors {
		row, _ := e.Errors[i].Position()
		key := strings.Join(e.Errors[i].Key(), ".")
		errs = append(errs, fmt.Errorf("line %d: unknown key %q; the nearest known key is %q", row, key, nearest(key, known)))
	}
	return errors.Join(errs...)
}

// Keys lists every known key, dotted, tables too, in the order of the example.
func Keys() []string {
	var keys []string
	walk(reflect.ValueOf(Default()).Elem(), "", func(key string, _ reflect.StructField, _ reflect.Value) {
		keys = append(keys, key)
	})
	return keys
}

// walk calls fn for each key, depth first; a table comes before its keys.
func walk(v reflect.Value, prefix string, fn func(key string, f reflect.StructField, v reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := prefix + f.Tag.Get("toml")
		fn(key, f, v.Field(i))
		if f.Type.Kind() == reflect.Struct {
			walk(v.Field(i), key+".", fn)
		}
	}
}

// nearest is the known key with the least edit distance, where a right last
// part in another table (or none) counts as near.
func nearest(key string, known []string) string {
	best, bestScore := "", 1<<30
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, k := range known {
		kl := k[strings.LastIndexByte(k, '.')+1:]
		score := 2 * min(distance(key, k), 1+distance(last, kl))
		if strings.Count(k, ".") != strings.Count(key, ".") {
			score++
		}
		if score < bestScore {
			best, bestScore = k, score
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes with a swap of neighbours as one step.
func distance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
