package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

// app is one run of the program: the process, the global flags, and what has been decided about the end.
type app struct {
	env    env
	stdout *stream
	global globals
	loaded *config.Loaded // once a command has loaded it
	own    string         // the configuration that the command itself writes; "": none

	stop        context.CancelCauseFunc
	interrupted atomic.Int32 // the exit code of the first signal
	long        atomic.Bool  // runs until it is stopped, so that a stop is success
	acting      atomic.Bool  // changes things, so that it outlives the reader of its output
	inHand      atomic.Pointer[func() int]
}

// errPipe is why a reading command ends when its reader has gone.
var errPipe = errors.New("the reader of stdout has gone")

func newApp(e env) *app {
	a := &app{env: e}
	a.stdout = &stream{w: e.stdout, closed: func() {
		if !a.acting.Load() {
			a.stop(errPipe)
		}
	}}
	return a
}

// run is the program: it returns the exit code.
func run(e env) int {
	a := newApp(e)
	ctx, finish := a.watchSignals(context.Background())
	root := newRoot(a)
	root.SetArgs(e.args)
	root.SetIn(e.stdin)
	root.SetOut(a.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(ctx)
	finish()
	return a.verdict(err)
}

// verdict turns the end of the command into an exit code, and tells an error.
func (a *app) verdict(err error) int {
	gone, fault := a.stdout.state()
	cancelled := err == nil || errors.Is(err, context.Canceled)
	switch {
	case fault != nil:
		a.say("write to stdout: " + cause(fault).Error())
		return exitFailed
	case gone && !a.acting.Load() && cancelled:
		return exitOK
	case a.interrupted.Load() != 0 && cancelled:
		if a.long.Load() {
			return exitOK
		}
		return int(a.interrupted.Load())
	case err == nil:
		return exitOK
	}
	a.report(err)
	return codeOf(err)
}

// load reads the configuration for a command: file, context, environment and the flags that were given. Each RunE that
// needs one calls it; nothing loads it before, so that help and completion work with a broken file.
func (a *app) load(cmd *cobra.Command) (*session, error) {
	s, err := a.read(cmd)
	if err != nil {
		return nil, err
	}
	for _, w := range s.loaded.Warnings {
		a.say("warning: " + w)
	}
	return s, nil
}

// read is load for a command that tells the warnings itself.
func (a *app) read(cmd *cobra.Command) (*session, error) {
	in := config.Input{Path: a.global.config, Own: a.own, Environ: a.env.environ}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		key := f.Annotations[annotationKey]
		if len(key) == 0 {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		in.Flags = append(in.Flags, config.Flag{Key: key[0], Name: "--" + f.Name, Values: values})
	})
	loaded, err := config.Load(in)
	if err != nil {
		return nil, err
	}
	a.loaded = &loaded
	return &session{app: a, loaded: loaded, cfg: loaded.Config}, nil
}

// print writes an answer to stdout in the format that was asked for. A nil doc means the table itself in JSON.
func (a *app) print(t out.Table, doc any) error { return out.Print(a.stdout, a.output(), t, doc) }

// output is how stdout is written to.
func (a *app) output() out.Options {
	return out.Options{
		Format: out.Format(a.global.format), Terminal: a.env.stdoutTerminal, Width: a.env.width(),
		Color:    out.UseColor(a.global.color, a.env.lookup, a.env.stdoutTerminal),
		NoHeader: a.global.noHeader,
	}
}

// note tells something that is not the answer, on stderr; -q keeps it back.
func (a *app) note(format string, args ...any) {
	if !a.global.quiet {
		a.say(fmt.Sprintf(format, args...))
	}
}

// say writes lines to stderr, escaped.
func (a *app) say(message string) {
	for line := range strings.SplitSeq(message, "\n") {
		_, _ = io.WriteString(a.env.stderr, text.Safe(line)+"\n")
	}
}

// session is an app with its configuration.
type session struct {
	*app
	loaded config.Loaded
	cfg    *config.Config
}

// where names the cluster as questions do: prod (kafka-1:9092).
func (s *session) where() string {
	name, broker := s.cfg.Cluster(), ""
	if len(s.cfg.Kafka.Brokers) > 0 {
		broker = s.cfg.Kafka.Brokers[0]
	}
	if strings.HasPrefix(broker, name+":") {
		return broker
	}
	return fmt.Sprintf("%s (%s)", name, broker)
}
