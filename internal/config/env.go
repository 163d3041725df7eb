package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/text"
)

// serviceLink matches what Kubernetes puts into every pod for a Service called orderctl or orderctl-*.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// checkEnvNames refuses variables that begin with ORDERCTL_ and mean nothing: a misspelt one would be silently ignored.
func (b *builder) checkEnvNames() {
	names := []string{}
	for _, k := range Keys() {
		if k.Env != "" {
			names = append(names, k.Env)
		}
	}
	names = append(names, EnvConfig, EnvActiveHelp, EnvCompletionDescriptions)
	for _, name := range slices.Sorted(maps.Keys(b.env)) {
		if !strings.HasPrefix(name, "ORDERCTL_") || b.env[name] == "" || slices.Contains(names, name) || serviceLink.MatchString(name) {
			continue
		}
		fix := "'orderctl help environment' lists them"
		if s := Suggest(name, names); s != "" {
			fix = "did you mean " + s + "?"
		}
		b.errs.add(&Problem{Text: "unknown environment variable " + text.Safe(name), Fix: fix})
	}
}

// Variables that are no keys.
const (
	EnvConfig                 = "ORDERCTL_CONFIG"
	EnvActiveHelp             = "ORDERCTL_ACTIVE_HELP"
	EnvCompletionDescriptions = "ORDERCTL_COMPLETION_DESCRIPTIONS"
)
