package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Key describes one key of the configuration.
type Key struct {
	Name    string   // kafka.timeout
	Env     string   // ORDERCTL_KAFKA_TIMEOUT; empty for lists of blocks
	Type    string   // string, bool, int, duration, size, rate, ratio, list, secret, dsn, blocks
	Doc     string   // one line
	Default string   // as it is written in the file
	Enum    []string // the values it may have; empty: any
	Reload  bool     // changes while running
	Secret  bool     // never in the file
	min     string
	max     string
	file    string // of a secret: the key of the file that holds it
	index   []int
}

// Keys returns every key, in the order of the file.
func Keys() []Key {
	var keys []Key
	defaults := reflect.ValueOf(Defaults()).Elem()
	walkType(defaults.Type(), "", nil, func(k Key) {
		k.Default = Format(defaults.FieldByIndex(k.index).Interface())
		keys = append(keys, k)
	})
	return keys
}

// EnvName returns the environment variable of a key.
func EnvName(key string) string {
	return "ORDERCTL_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// walkType calls leaf for each leaf below t.
func walkType(t reflect.Type, prefix string, index []int, leaf func(Key)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("key")
		at := append(append([]int{}, index...), i)
		kind := typeName(f.Type)
		if kind == "" {
			walkType(f.Type, name+".", at, leaf)
			continue
		}
		k := Key{
			Name: name, Type: kind, Doc: f.Tag.Get("doc"), Reload: f.Tag.Get("reload") == "true",
			Secret: kind == "secret", min: f.Tag.Get("min"), max: f.Tag.Get("max"), index: at,
		}
		if e, ok := f.Tag.Lookup("enum"); ok {
			k.Enum = strings.Split(e, "|")
		}
		if s := f.Tag.Get("secret"); s != "" {
			k.file = prefix + s
		}
		if kind != "blocks" {
			k.Env = EnvName(name)
		}
		leaf(k)
	}
}

// typeName returns what a leaf of type t is called, and "" for a section.
func typeName(t reflect.Type) string {
	switch reflect.Zero(t).Interface().(type) {
	case Secret:
		return "secret"
	case DSN:
		return "dsn"
	case time.Duration:
		return "duration"
	case Size:
		return "size"
	case Rate:
		return "rate"
	case Ratio:
		return "ratio"
	case []string:
		return "list"
	case []time.Duration:
		return "durations"
	case []Context:
		return "blocks"
	case string, bool, int:
		return t.Kind().String()
	}
	return ""
}

// parseValue reads the text of a flag, a variable or a scalar of the file as a value of the key's type.
func parseValue(k Key, text string) (any, error) {
	if k.Type == "secret" {
		return NewSecret(text), nil
	}
	if i := strings.IndexFunc(text, isControl); i >= 0 {
		return nil, fmt.Errorf("%s holds a control character", strconv.QuoteToASCII(shorten(text)))
	}
	v, err := parseTyped(k, text)
	if err != nil {
		return nil, err
	}
	return v, checkBounds(k, v, text)
}

func parseTyped(k Key, text string) (any, error) {
	switch k.Type {
	case "bool":
		if text != "true" && text != "false" {
			return nil, fmt.Errorf("%s is neither true nor false", strconv.Quote(shorten(text)))
		}
		return text == "true", nil
	case "int":
		return ParseInt(text)
	case "duration":
		return ParseDuration(text)
	case "size":
		return ParseSize(text)
	case "rate":
		return ParseRate(text)
	case "ratio":
		return ParseRatio(text)
	case "list":
		return splitList(text), nil
	case "durations":
		return parseDurations(splitList(text))
	case "dsn":
		return NewDSN(text), nil
	}
	return text, checkEnum(k, text)
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// shorten keeps an error to one line.
func shorten(s string) string {
	const limit = 64
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// splitList splits at commas, trims, and drops what is empty.
func splitList(text string) []string {
	list := []string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// parseDurations reads a list of durations; the single word none is the empty list.
func parseDurations(parts []string) ([]time.Duration, error) {
	list := []time.Duration{}
	if len(parts) == 1 && parts[0] == "none" {
		return list, nil
	}
	for _, p := range parts {
		d, err := ParseDuration(p)
		if err != nil {
			return nil, err
		}
		if d < 0 {
			return nil, fmt.Errorf("%s is negative", p)
		}
		list = append(list, d)
	}
	return list, nil
}

func checkEnum(k Key, text string) error {
	if len(k.Enum) == 0 {
		return nil
	}
	words := []string{}
	for _, e := range k.Enum {
		if e == text {
			return nil
		}
		if e != "" {
			words = append(words, e)
		}
	}
	choices := strings.Join(words, ", ")
	if s := Suggest(text, words); s != "" {
		return hinted{
			text: fmt.Sprintf("%s is none of %s", strconv.Quote(shorten(text)), choices),
			hint: "did you mean " + s + "?",
		}
	}
	return fmt.Errorf("%s is none of %s", strconv.Quote(shorten(text)), choices)
}
