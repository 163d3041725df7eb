package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// checkBounds holds a number against the tags min and max of its key; where min is absent it is 0.
func checkBounds(k Key, v any, text string) error {
	n, ok := magnitude(v)
	if !ok {
		return nil
	}
	low, high := bound(k, k.min), bound(k, k.max)
	switch {
	case k.min == "" && n < 0:
		return fmt.Errorf("%s is negative", text)
	case k.min != "" && n < low:
		return fmt.Errorf("%s is below %s", text, k.min)
	case k.max != "" && n > high:
		return fmt.Errorf("%s is above %s", text, k.max)
	}
	return nil
}

func bound(k Key, tag string) float64 {
	if tag == "" {
		return 0
	}
	v, err := parseTyped(k, tag)
	if err != nil {
		return 0
	}
	n, _ := magnitude(v)
	return n
}

func magnitude(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case time.Duration:
		return float64(n), true
	case Size:
		return float64(n), true
	case Rate:
		return float64(n), true
	case Ratio:
		return float64(n), true
	}
	return 0, false
}

// Format writes a value as the file has it, without quotes. Secrets are redacted.
func Format(v any) string {
	switch x := v.(type) {
	case time.Duration:
		return FormatDuration(x)
	case []string:
		return strings.Join(x, ",")
	case []time.Duration:
		if len(x) == 0 {
			return "none"
		}
		parts := make([]string, len(x))
		for i, d := range x {
			parts[i] = FormatDuration(d)
		}
		return strings.Join(parts, ",")
	case []Context:
		names := make([]string, len(x))
		for i, c := range x {
			names[i] = c.Name
		}
		return strings.Join(names, ",")
	}
	return fmt.Sprint(v)
}

// valueOf returns the value of a leaf of c.
func valueOf(c *Config, k Key) any {
	return reflect.ValueOf(c).Elem().FieldByIndex(k.index).Interface()
}
