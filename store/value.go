package store

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
)

// plain brings an argument to one of nil, int64, string, []byte.
func plain(a any) (any, error) {
	switch v := a.(type) {
	case nil, int64, string:
		return a, nil
	case []byte:
		if v == nil {
			return nil, nil
		}
		return v, nil
	case *int64:
		return *v, nil
	case *string:
		return *v, nil
	case *[]byte:
		return plain(*v)
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case uint64:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("store: argument %d does not fit a BIGINT", v)
		}
		return int64(v), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case driver.Valuer:
		x, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("store: argument: %w", err)
		}
		if _, again := x.(driver.Valuer); again {
			break
		}
		return plain(x)
	}
	return nil, fmt.Errorf("store: argument of type %T", a)
}

// assign puts a column's value (nil, int64, float64, string, []byte) into dest.
func assign(dest, v any) error {
	if s, ok := dest.(sql.Scanner); ok {
		return s.Scan(v)
	}
	switch d := dest.(type) {
	case *any:
		*d = v
		return nil
	case *[]byte:
		switch x := v.(type) {
		case nil:
			*d = nil
			return nil
		case []byte:
			*d = x
			return nil
		case string:
			*d = []byte(x)
			return nil
		}
	case *string:
		switch x := v.(type) {
		case string:
			*d = x
			return nil
		case []byte:
			*d = string(x)
			return nil
		}
	default:
		if n, ok := v.(int64); ok {
			return assignInt(dest, n)
		}
	}
	return fmt.Errorf("store: scan: %T into %T", v, dest)
}

// assignInt puts a number into dest and fails rather than cut it off.
func assignInt(dest any, n int64) error {
	ok := true
	switch d := dest.(type) {
	case *int64:
		*d = n
	case *int:
		*d = int(n)
	case *uint64:
		*d, ok = uint64(n), n >= 0
	case *int32:
		*d, ok = int32(n), n == int64(int32(n))
	case *uint32:
		*d, ok = uint32(n), n == int64(uint32(n))
	case *bool:
		*d = n != 0
	default:
		return fmt.Errorf("store: scan: a number into %T", dest)
	}
	if !ok {
		return fmt.Errorf("store: scan: %d does not fit %T", n, dest)
	}
	return nil
}
