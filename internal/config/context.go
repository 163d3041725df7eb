package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var contextName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// applyContext lays the chosen context over the file. Which one it is follows the usual order: flag, variable, file.
func (b *builder) applyContext() {
	name, from := b.chosenContext()
	if name == "" {
		return
	}
	i := slices.IndexFunc(b.doc.contexts, func(c block) bool { return c.name == name })
	if i < 0 {
		b.errs.add(b.noContext(name, from))
		return
	}
	for _, s := range b.doc.contexts[i].settings {
		if isEmpty(s.value) {
			continue
		}
		b.set(overlayKey(s.key), s.value, Origin{Kind: FromContext, Name: name, File: b.doc.path, Line: s.line})
	}
}

func (b *builder) chosenContext() (string, Origin) {
	for _, f := range b.in.Flags {
		if f.Key == "context" {
			return strings.Join(f.Values, ","), Origin{Kind: FromFlag, Name: f.Name}
		}
	}
	if name := b.env["ORDERCTL_CONTEXT"]; name != "" {
		return name, Origin{Kind: FromEnv, Name: "ORDERCTL_CONTEXT"}
	}
	name, _ := b.values["context"].(string)
	return name, b.origins["context"]
}

func (b *builder) noContext(name string, from Origin) *Problem {
	names := []string{}
	for _, c := range b.doc.contexts {
		names = append(names, c.name)
	}
	slices.Sort(names)
	where := " in " + b.doc.path
	if len(b.doc.contexts) == 0 {
		where += ": there are no contexts"
	}
	if b.doc.path == "" {
		where = ": there is no configuration file"
	}
	fix := []string{}
	if s := Suggest(name, names); s != "" {
		fix = append(fix, fmt.Sprintf("did you mean %q?", s))
	}
	if len(names) > 0 {
		fix = append(fix, "contexts here: "+strings.Join(names, ", "))
	}
	p := &Problem{Key: "context", Text: fmt.Sprintf("context %q not found%s", name, where), Fix: strings.Join(fix, " ")}
	if from.Kind != FromFlag {
		p.From = from
	}
	return p
}

// isEmpty tells a value that a context leaves alone. A bool that stands there was meant, also false.
func isEmpty(v any) bool {
	switch x := v.(type) {
	case string:
		return x == ""
	case []string:
		return len(x) == 0
	case DSN:
		return x.Reveal() == ""
	}
	return false
}

// contextMaps returns the contexts as Unmarshal takes them.
func (b *builder) contextMaps() []any {
	list := []any{}
	for _, c := range b.doc.contexts {
		flat := map[string]any{}
		for _, s := range c.settings {
			flat[s.key] = s.value
		}
		list = append(list, nested(flat))
	}
	return list
}
