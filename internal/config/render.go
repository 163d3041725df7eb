package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Template returns the text that `config init` writes: every key with its default and one comment.
func Template() string {
	var b strings.Builder
	b.WriteString(`# The configuration of orderctl: every key, its default, and what it is for.
# Stronger than this file: a context, ORDERCTL_* variables, flags. 'orderctl config show --origin' tells who won,
# 'orderctl config check' tells what is wrong. Units: 250ms 5s 1m30s; 64KiB 4MiB; 100/s; 0.5 or 50%.
# Secrets do not stand here: *_file keys name the file that holds one.
`)
	defaults := reflect.ValueOf(Defaults()).Elem()
	renderSection(&b, defaults, "")
	return b.String()
}

const commentColumn = 40

func renderSection(b *strings.Builder, v reflect.Value, indent string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, doc := f.Tag.Get("key"), f.Tag.Get("doc")
		kind := typeName(f.Type)
		if kind == "secret" {
			continue // its *_file key says where it belongs
		}
		if kind == "" && indent == "" {
			b.WriteString("\n")
		}
		line := indent + key + ":"
		if kind != "" {
			line += " " + yamlText(v.Field(i).Interface())
		}
		fmt.Fprintf(b, "%-*s # %s\n", commentColumn, line, doc)
		if kind == "" {
			renderSection(b, v.Field(i), indent+"  ")
		}
	}
}

// plainWord is a text that YAML reads as that text without quotes.
var plainWord = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9._/-]*$`)

func yamlText(v any) string {
	switch x := v.(type) {
	case []string:
		parts := make([]string, len(x))
		for i, s := range x {
			parts[i] = yamlText(s)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []Context:
		return "[]"
	case []time.Duration:
		if len(x) == 0 {
			return "none"
		}
		return "[" + strings.ReplaceAll(Format(x), ",", ", ") + "]"
	case DSN:
		return yamlText(x.String())
	case string:
		if plainWord.MatchString(x) && x != "true" && x != "false" && x != "null" {
			return x
		}
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(x) + `"`
	}
	return Format(v)
}
