package config

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// Flag is a flag that was given on the command line and stands for a key.
type Flag struct {
	Key    string
	Name   string   // with its dashes
	Values []string // the elements of a list; of anything else one text
}

// Input is what a configuration is made of.
type Input struct {
	Path    string   // --config; empty: ORDERCTL_CONFIG, else the first that exists of Candidates
	Own     string   // the file that the command itself writes later; it may be named before it is there. Empty: none
	Flags   []Flag   // what was given
	Environ []string // as os.Environ
}

// Loaded is a configuration and its history.
type Loaded struct {
	Config   *Config
	Path     string   // the file it was read from; empty: none
	Warnings []string // what is allowed but was probably not meant
	origins  map[string]Origin
	input    Input
	digest   [sha256.Size]byte // of the file's bytes
}

// Origin tells where the value of a key came from.
func (l Loaded) Origin(key string) Origin {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return Origin{Kind: FromDefault}
}

// Load reads, merges and checks the configuration. The error joins all that is wrong; each part is a *Problem.
func Load(in Input) (Loaded, error) {
	path, text, problem := findFile(in)
	if problem != nil {
		return Loaded{}, problem
	}
	if path != "" {
		path = filepath.Clean(path)
	}
	return load(in, path, text)
}

func load(in Input, path string, text []byte) (Loaded, error) {
	b := &builder{in: in, env: environment(in.Environ), values: map[string]any{}, origins: map[string]Origin{}}
	doc, err := parseFile(path, text)
	if err != nil {
		b.errs = append(b.errs, err)
	}
	b.doc = doc
	b.applyFile()
	b.applyContext()
	b.applyEnv()
	b.applyFlags()
	b.checkEnvNames()
	cfg, err := b.decode()
	if err != nil {
		return Loaded{}, err
	}
	b.readSecrets(cfg)
	b.validate(cfg)
	if len(b.errs) > 0 {
		return Loaded{}, b.errs.join()
	}
	return Loaded{
		Config: cfg, Path: path, Warnings: b.warnings, origins: b.origins, input: in, digest: sha256.Sum256(text),
	}, nil
}

// builder lays one source over the other.
type builder struct {
	in       Input
	env      map[string]string
	doc      document
	values   map[string]any // by key
	origins  map[string]Origin
	warnings []string
	errs     problems
}

func (b *builder) set(key string, value any, from Origin) {
	b.values[key] = value
	b.origins[key] = from
}

func (b *builder) applyFile() {
	for _, s := range b.doc.settings {
		b.set(s.key, s.value, Origin{Kind: FromFile, File: b.doc.path, Line: s.line})
	}
	if len(b.doc.contexts) > 0 {
		b.origins["contexts"] = Origin{Kind: FromFile, File: b.doc.path, Line: b.doc.contexts[0].line}
	}
}

// applyEnv lays the environment over file and context. A variable without a value is unset.
func (b *builder) applyEnv() {
	for _, k := range Keys() {
		text := b.env[k.Env]
		if k.Env == "" || text == "" {
			continue
		}
		from := Origin{Kind: FromEnv, Name: k.Env}
		v, err := parseValue(k, text)
		if err != nil {
			b.errs.add(problemOf(k.Name, from, err))
			continue
		}
		if o := b.origins[k.Name]; o.Kind == FromContext {
			b.warnings = append(b.warnings, fmt.Sprintf("%s beats %s of context %s (%s:%d)", k.Env, k.Name, o.Name, o.File, o.Line))
		}
		b.set(k.Name, v, from)
	}
}

func (b *builder) applyFlags() {
	for _, k := range Keys() {
		i := slices.IndexFunc(b.in.Flags, func(f Flag) bool { return f.Key == k.Name })
		if i < 0 {
			continue
		}
		f := b.in.Flags[i]
		from := Origin{Kind: FromFlag, Name: f.Name}
		v, err := parseValue(k, strings.Join(f.Values, ","))
		if err != nil {
			b.errs.add(problemOf(k.Name, from, err))
			continue
		}
		b.set(k.Name, v, from)
	}
}

// decode is the one Unmarshal of the whole struct. The values are typed already, so nothing is converted on the way:
// viper holds defaults and layers, and each leaf has a default, which is what makes its merging safe.
func (b *builder) decode() (*Config, error) {
	v := viper.New()
	defaults := Defaults()
	for _, k := range Keys() {
		v.SetDefault(k.Name, valueOf(defaults, k))
	}
	if err := v.MergeConfigMap(nested(b.values)); err != nil {
		return nil, fmt.Errorf("merge configuration: %w", err)
	}
	if blocks := b.contextMaps(); len(blocks) > 0 {
		v.Set("contexts", blocks)
	}
	cfg := &Config{}
	err := v.Unmarshal(cfg, func(c *mapstructure.DecoderConfig) {
		c.TagName = "key"
		c.WeaklyTypedInput = false
		c.DecodeHook = nil
	})
	if err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	return cfg, nil
}

// nested turns kafka.tls.enabled into maps of maps.
func nested(flat map[string]any) map[string]any {
	root := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		parts := strings.Split(key, ".")
		m := root
		for _, p := range parts[:len(parts)-1] {
			next, ok := m[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				m[p] = next
			}
			m = next
		}
		m[parts[len(parts)-1]] = flat[key]
	}
	return root
}
