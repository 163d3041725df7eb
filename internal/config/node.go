package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"commerce.internal/orderctl/internal/text"
)

// setting is one value of the file.
type setting struct {
	key   string
	value any
	line  int
}

// block is one element of a list of blocks.
type block struct {
	name     string
	line     int
	settings []setting
}

// document is what stands in the file.
type document struct {
	path     string
	settings []setting
	contexts []block
}

// walker turns the node tree of a file into settings. It keeps the line of every key, and refuses all that a reader of
// the file could misunderstand.
type walker struct {
	path  string
	doc   document
	errs  problems
	names []string // of all keys and sections, once a suggestion needs them
}

// enough problems are told of one file: a wrong file of 1 MiB must not take minutes, nor fill the screen.
const enough = 20

// parseFile reads the file's text. Values have the type of their key already.
func parseFile(path string, text []byte) (document, error) {
	if path == "" {
		return document{}, nil
	}
	w := &walker{path: clean(path), doc: document{path: clean(path)}}
	text, err := checkText(text)
	if err != nil {
		w.fail(1, err.Error(), "")
		return w.doc, w.errs.join()
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return w.doc, nil
	case err != nil:
		w.syntax(err)
		return w.doc, w.errs.join()
	}
	if err := decoder.Decode(&second); err == nil {
		w.fail(second.Line, "a second document begins here; one file is one document", "")
	} else if !errors.Is(err, io.EOF) {
		w.syntax(err)
	}
	top := root.Content[0]
	if isNull(top) {
		return w.doc, w.errs.join()
	}
	w.doc.settings = w.mapping(top, reflect.TypeFor[Config](), "")
	return w.doc, w.errs.join()
}

var yamlLine = regexp.MustCompile(`line ([0-9]+): `)

// syntax reports an error of the YAML parser, which tells the line in its text only.
func (w *walker) syntax(err error) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := yamlLine.FindStringSubmatchIndex(text); m != nil {
		line, _ = strconv.Atoi(text[m[2]:m[3]])
		text = text[m[1]:]
	}
	w.fail(line, "not YAML: "+text, "")
}

func (w *walker) fail(line int, text, fix string) {
	w.errs.add(&Problem{Text: text, Fix: fix, From: Origin{Kind: FromFile, File: w.path, Line: line}})
}

// mapping walks a section.
func (w *walker) mapping(n *yaml.Node, t reflect.Type, prefix string) []setting {
	if !w.plain(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		what := strings.TrimSuffix(prefix, ".")
		if what == "" {
			what = "the file"
		}
		w.fail(n.Line, what+" must be a section: indented lines of key: value", "")
		return nil
	}
	var settings []setting
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content) && len(w.errs) < enough; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !w.plain(key) || !w.plain(value) {
			continue
		}
		if first, twice := seen[key.Value]; twice {
			w.fail(key.Line, fmt.Sprintf("%s stands here a second time, first in line %d", text.Safe(prefix+key.Value), first), "")
			continue
		}
		seen[key.Value] = key.Line
		settings = append(settings, w.member(key, value, t, prefix)...)
	}
	return settings
}

// plain refuses anchors, aliases, merge keys and tags: with them the line of a value is not where it stands.
func (w *walker) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		w.fail(n.Line, "aliases (*name) are not allowed", "")
	case n.Anchor != "":
		w.fail(n.Line, "anchors (&name) are not allowed", "")
	case n.Style&yaml.TaggedStyle != 0:
		w.fail(n.Line, "tags (!name) are not allowed", "")
	case n.ShortTag() == "!!merge":
		w.fail(n.Line, "merge keys (<<) are not allowed", "")
	default:
		return true
	}
	return false
}

// member walks one key of a section.
func (w *walker) member(key, value *yaml.Node, t reflect.Type, prefix string) []setting {
	field, ok := fieldOf(t, key.Value)
	if key.Kind != yaml.ScalarNode || !ok {
		w.unknown(key, prefix)
		return nil
	}
	name := prefix + key.Value
	if isNull(value) {
		return nil
	}
	k := Key{Name: name, Type: typeName(field.Type)}
	switch k.Type {
	case "":
		return w.mapping(value, field.Type, name+".")
	case "blocks":
		w.blocks(value)
		return nil
	case "secret":
		w.fail(key.Line, name+" is a secret, and secrets do not stand in this file",
			"put it into the file that "+prefix+field.Tag.Get("secret")+" names, or into "+EnvName(globalKey(name)))
		return nil
	}
	full := leafKey(field, name, k.Type)
	v, err := nodeValue(full, value)
	if err != nil {
		p := problemOf(name, Origin{Kind: FromFile, File: w.path, Line: value.Line}, err)
		w.errs.add(p)
		return nil
	}
	if d, isDSN := v.(DSN); isDSN && d.HasPassword() {
		w.fail(value.Line, name+" holds a password",
			"put it into store.password_file, or the whole dsn into ORDERCTL_STORE_DSN")
		return nil
	}
	return []setting{{key: name, value: v, line: key.Line}}
}

// unknown reports a key that does not exist, with the one that was probably meant.
func (w *walker) unknown(key *yaml.Node, prefix string) {
	name := prefix + key.Value
	if key.Kind != yaml.ScalarNode {
		w.fail(key.Line, "a key must be a word", "")
		return
	}
	fix := ""
	if w.names == nil {
		w.names = keyNames()
	}
	if s := suggestKey(name, w.names); s != "" {
		fix = "did you mean " + s + "?"
	}
	if strings.Contains(key.Value, ".") && fix == "did you mean "+name+"?" {
		fix = "write it nested: " + strings.ReplaceAll(name, ".", ": {") + ": ..." + strings.Repeat("}", strings.Count(name, "."))
	}
	w.fail(key.Line, "unknown key "+text.Safe(name), fix)
}
