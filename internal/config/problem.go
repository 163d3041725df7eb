package config

import (
	"errors"
	"fmt"
	"strconv"
)

// Kind is where a value came from.
type Kind string

// The kinds of origin, weakest first.
const (
	FromDefault Kind = "default"
	FromFile    Kind = "file"
	FromContext Kind = "context"
	FromEnv     Kind = "env"
	FromFlag    Kind = "flag"
)

// Origin is where the value of a key came from.
type Origin struct {
	Kind Kind
	Name string // the flag with its dashes, the variable, or the context
	File string
	Line int
}

// String writes the origin as `config show --origin` does.
func (o Origin) String() string {
	at := o.File + ":" + strconv.Itoa(o.Line)
	switch o.Kind {
	case FromFile:
		return at
	case FromContext:
		return fmt.Sprintf("context %s (%s)", o.Name, at)
	case FromEnv, FromFlag:
		return string(o.Kind) + " " + o.Name
	}
	return string(FromDefault)
}

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Key  string // the key it is about; empty: the file or the environment as a whole
	Text string // what is wrong
	Fix  string // what to do
	From Origin

	other string // a second key that may be to blame
}

// Error implements error.
func (p *Problem) Error() string {
	switch p.From.Kind {
	case FromFile, FromContext:
		if p.From.Line > 0 {
			return fmt.Sprintf("%s:%d: %s", p.From.File, p.From.Line, p.Text)
		}
		return p.From.File + ": " + p.Text
	case FromEnv, FromFlag:
		return p.Text + " (" + p.From.String() + ")"
	}
	return p.Text
}

// ExitCode is 2: usage or configuration.
func (*Problem) ExitCode() int { return 2 }

// Hint says what to do.
func (p *Problem) Hint() string { return p.Fix }

// hinted is an error of a parser that also knows what was probably meant.
type hinted struct{ text, hint string }

func (h hinted) Error() string { return h.text }

// problemOf turns the error of a parser into a problem of the key.
func problemOf(key string, from Origin, err error) *Problem {
	p := &Problem{Key: key, Text: key + ": " + err.Error(), From: from}
	var h hinted
	if errors.As(err, &h) {
		p.Fix = h.hint
	}
	return p
}

// problems collects what is wrong, so that one run shows all of it.
type problems []error

func (ps *problems) add(p *Problem) { *ps = append(*ps, p) }

func (ps *problems) join() error { return errors.Join(*ps...) }
