package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// The time that a diagnosis takes at most.
const (
	CheckTimeout  = 5 * time.Second  // one check
	DoctorTimeout = 30 * time.Second // all of them
)

// Level says how a check came out.
type Level string

// The levels.
const (
	LevelOK   Level = "ok"
	LevelSkip Level = "skip" // not checked: something that it needs has failed, or is not there
	LevelWarn Level = "warn"
	LevelFail Level = "FAIL"
)

// Finding is one line of a diagnosis.
type Finding struct {
	Level Level
	Check string // its name
	Text  string // what was found
	Fix   string // what to do; empty: nothing
	Code  int    // exit code of a FAIL
}

// Diagnosis is what a doctor found, in the order in which things depend on each other.
type Diagnosis struct{ Findings []Finding }

// The exit codes of a diagnosis. A FAIL has the code of its class.
const (
	codeFailed      = 1
	codeConfig      = 2
	codeUnreachable = 3
	codeDenied      = 4
	codeStrict      = 5
)

// Worst returns the worst level.
func (d Diagnosis) Worst() Level {
	worst := LevelOK
	for _, f := range d.Findings {
		if f.Level == LevelFail || f.Level == LevelWarn && worst != LevelFail {
			worst = f.Level
		}
	}
	return worst
}

// ExitCode is the class of the first FAIL: 2 configuration, 3 unreachable, 4 refused, else 1. Strict makes a warning 5.
func (d Diagnosis) ExitCode(strict bool) int {
	for _, f := range d.Findings {
		if f.Level == LevelFail {
			return f.Code
		}
	}
	if strict && d.Worst() == LevelWarn {
		return codeStrict
	}
	return 0
}

func ok(format string, args ...any) Finding {
	return Finding{Level: LevelOK, Text: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) Finding {
	return Finding{Level: LevelSkip, Text: fmt.Sprintf(format, args...)}
}

func warn(fix, format string, args ...any) Finding {
	return Finding{Level: LevelWarn, Text: fmt.Sprintf(format, args...), Fix: fix}
}

func fail(code int, fix, format string, args ...any) Finding {
	return Finding{Level: LevelFail, Text: fmt.Sprintf(format, args...), Fix: fix, Code: code}
}

// failed is the finding of an error: its text, what it says itself that one can do, else fix, and its class.
func failed(err error, fix string) Finding {
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fix = h.Hint()
	}
	return fail(classOf(err), fix, "%s", err.Error())
}

func classOf(err error) int {
	var own interface{ ExitCode() int }
	switch {
	case errors.As(err, &own) && own.ExitCode() >= codeConfig && own.ExitCode() <= codeDenied:
		return own.ExitCode()
	case errors.Is(err, queue.ErrDenied):
		return codeDenied
	case errors.Is(err, queue.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return codeUnreachable
	}
	return codeFailed
}

// check is a question, and what it stands on.
type check struct {
	name  string
	needs []string // checks that must not have failed
	any   bool     // one of them that has not is enough
	sees  []string // checks that must be over, whatever came out
	run   func(context.Context) []Finding
}

// outcome is a check that runs or is over.
type outcome struct {
	check
	done     chan struct{}
	findings []Finding
	bad      bool // FAIL or skip: what stands on it is not asked
}

// diagnose runs the checks, each as soon as those that it stands on are over, and returns what they found in their own
// order. After a FAIL the rest of its branch is skipped.
func diagnose(ctx context.Context, checks []check, each time.Duration) Diagnosis {
	all := map[string]*outcome{}
	for _, c := range checks {
		all[c.name] = &outcome{check: c, done: make(chan struct{})}
	}
	var wg sync.WaitGroup
	for _, c := range checks {
		wg.Go(func() { all[c.name].settle(ctx, all, each) })
	}
	wg.Wait()
	var d Diagnosis
	for _, c := range checks {
		d.Findings = append(d.Findings, all[c.name].findings...)
	}
	return d
}

func (o *outcome) settle(ctx context.Context, all map[string]*outcome, each time.Duration) {
	defer close(o.done)
	var broken []string
	for _, name := range o.needs {
		<-all[name].done
		if all[name].bad {
			broken = append(broken, name)
		}
	}
	for _, name := range o.sees {
		<-all[name].done
	}
	switch {
	case len(broken) > 0 && (!o.any || len(broken) == len(o.needs)):
		o.findings = []Finding{skip("not checked, after %s", strings.Join(broken, ", "))}
	case ctx.Err() != nil:
		o.findings = []Finding{skip("not checked, the time is over")}
	default:
		ctx, cancel := context.WithTimeout(ctx, each)
		o.findings = o.run(ctx)
		cancel()
	}
	for i := range o.findings {
		if o.findings[i].Check == "" {
			o.findings[i].Check = o.name
		}
		o.bad = o.bad || o.findings[i].Level == LevelFail || o.findings[i].Level == LevelSkip
	}
}

// few names at most three of a list.
func few(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
