package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"commerce.internal/orderctl/internal/text"
)

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// clean writes a path as error texts have it.
func clean(path string) string { return text.Safe(filepath.Clean(path)) }

// fieldOf finds the field of a section by its key, exactly as it is spelt.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("key") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func leafKey(f reflect.StructField, name, kind string) Key {
	k := Key{Name: name, Type: kind, min: f.Tag.Get("min"), max: f.Tag.Get("max")}
	if e, ok := f.Tag.Lookup("enum"); ok {
		k.Enum = strings.Split(e, "|")
	}
	return k
}

// nodeValue reads a scalar or a list of the file. A number where a text belongs is that text; a text where a number
// belongs must read as one.
func nodeValue(k Key, n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if k.Type == "bool" && n.ShortTag() != "!!bool" {
			return nil, fmt.Errorf("%s is neither true nor false", strconv.Quote(shorten(n.Value)))
		}
		return parseValue(k, n.Value)
	case yaml.SequenceNode:
		return listValue(k, n)
	}
	return nil, errors.New("must be a value, not a section")
}

func listValue(k Key, n *yaml.Node) (any, error) {
	if k.Type != "list" && k.Type != "durations" {
		return nil, errors.New("must be one value, not a list")
	}
	parts := []string{}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Anchor != "" || item.Style&yaml.TaggedStyle != 0 {
			return nil, errors.New("must be a list of plain values")
		}
		if item.Value != "" && !isNull(item) {
			parts = append(parts, item.Value)
		}
	}
	for _, p := range parts {
		if strings.Contains(p, ",") {
			return nil, fmt.Errorf("%s holds a comma; write one value each", strconv.Quote(shorten(p)))
		}
	}
	return parseValue(k, strings.Join(parts, ","))
}

// blocks walks the list of contexts.
func (w *walker) blocks(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		w.fail(n.Line, "contexts must be a list of blocks, each beginning with - name:", "")
		return
	}
	names := map[string]int{}
	for i, item := range n.Content {
		prefix := "contexts[" + strconv.Itoa(i) + "]."
		b := block{line: item.Line, settings: w.mapping(item, reflect.TypeFor[Context](), prefix)}
		for j := range b.settings {
			b.settings[j].key = strings.TrimPrefix(b.settings[j].key, prefix)
			if b.settings[j].key == "name" {
				b.name, _ = b.settings[j].value.(string)
			}
		}
		if first, twice := names[b.name]; twice && b.name != "" {
			w.fail(item.Line, fmt.Sprintf("context %q stands here a second time, first in line %d", b.name, first), "")
		}
		names[b.name] = item.Line
		if !contextName.MatchString(b.name) {
			w.fail(item.Line, fmt.Sprintf("context %s: the name must match %s", strconv.QuoteToGraphic(shorten(b.name)), contextName), "")
		}
		w.doc.contexts = append(w.doc.contexts, b)
	}
}

// globalKey maps a key of a context to the key whose value it replaces.
func globalKey(key string) string {
	if _, rest, ok := strings.Cut(key, "]."); ok {
		return overlayKey(rest)
	}
	return key
}

// overlayKey maps sasl.username to kafka.sasl.username, group to consume.group, store.dsn to itself.
func overlayKey(key string) string {
	switch section, _, _ := strings.Cut(key, "."); section {
	case "store":
		return key
	case "group":
		return "consume.group"
	}
	return "kafka." + key
}

// keyNames returns the names of all keys and sections.
func keyNames() []string {
	names := []string{}
	for _, k := range Keys() {
		names = append(names, k.Name)
		for section := k.Name; strings.Contains(section, "."); {
			section = section[:strings.LastIndexByte(section, '.')]
			if !slices.Contains(names, section) {
				names = append(names, section)
			}
		}
	}
	return names
}

// suggestKey returns the key that was probably meant: the same in another case, or with two letters wrong, or with its
// section forgotten.
func suggestKey(name string, names []string) string {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
	}
	if s := Suggest(name, names); s != "" {
		return s
	}
	last := "." + name[strings.LastIndexByte(name, '.')+1:]
	found := ""
	for _, n := range names {
		if strings.HasSuffix(n, last) {
			if found != "" {
				return "" // several sections have such a key
			}
			found = n
		}
	}
	return found
}
