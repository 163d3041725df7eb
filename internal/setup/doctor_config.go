package setup

import (
	"context"
	"strings"
)

const leastFiles = 4096

// SickConfig is the diagnosis where the configuration does not load: nothing else can be looked at.
func SickConfig(errs []error) Diagnosis {
	var d Diagnosis
	for _, err := range errs {
		f := failed(err, "see 'orderctl config check' and 'orderctl help keys'")
		f.Check, f.Code = "config", codeConfig
		d.Findings = append(d.Findings, f)
	}
	for _, name := range []string{"brokers", "cluster", "topics", "configs", "group", "transactions", "access", "database", "serve"} {
		f := skip("not checked, after config")
		f.Check = name
		d.Findings = append(d.Findings, f)
	}
	return d
}

// config tells what is allowed but was probably not meant.
func (d *Doctor) config(context.Context) []Finding {
	var found []Finding
	for _, w := range d.opts.Warnings {
		text, fix, _ := strings.Cut(w, "; ")
		found = append(found, warn(fix, "%s", text))
	}
	if n := d.opts.OpenFiles; n > 0 && n < leastFiles {
		found = append(found, warn("ulimit -n 65536, or LimitNOFILE= of the unit", "this process may open %d files; serve and consume want %d", n, leastFiles))
	}
	if len(found) > 0 {
		return found
	}
	if d.opts.ConfigFile == "" {
		return []Finding{ok("no file; defaults, environment and flags are good")}
	}
	return []Finding{ok("%s is good", d.opts.ConfigFile)}
}
