package main

import (
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// A discard that ended early names the command that goes on with it: the same letters, the same way, the same reason.
func TestADiscardSaysHowItGoesOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-g", "g", "7/31", "2/118", "--yes"}, "orderctl dlq discard 7/31 2/118 --group g --reason 'it'\\''s a test'"},
		{
			[]string{"-g", "g", "--class", "invalid,decode", "--since", "1h", "--undo"},
			"orderctl dlq discard --class invalid --class decode --group g --reason 'it'\\''s a test' --since 1h --undo",
		},
		{[]string{"--all", "-y"}, "orderctl dlq discard --all --reason 'it'\\''s a test'"},
	} {
		cmd := newDLQDiscardCmd(&app{env: newTestProcess(t).env})
		parent := &cobra.Command{Use: "dlq"}
		parent.AddCommand(cmd)
		(&cobra.Command{Use: "orderctl"}).AddCommand(parent)
		if err := cmd.ParseFlags(append(tt.args, "--reason", "it's a test")); err != nil {
			t.Fatal(err)
		}
		if got := again(cmd); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// Who goes on later, or with a part of a limit, means the letters that were chosen first and no others.
func TestHowItGoesOnNamesTheSameLetters(t *testing.T) {
	t.Parallel()
	e := newTestProcess(t).env
	now := e.now()
	e.now = func() time.Time { return now }
	stamp := func(back time.Duration) string { return now.Add(-back).UTC().Format(time.RFC3339Nano) }
	for _, tt := range []struct {
		args []string
		done int
		want string
	}{
		{[]string{"--since", "1h", "--until", "30m"}, 5, "--since=" + stamp(time.Hour) + " --until=" + stamp(30*time.Minute)},
		{[]string{"--limit", "100"}, 60, "--until=" + stamp(0) + " --limit=40"},
		{[]string{"--limit", "100", "--until", "2026-01-02T03:04:05Z"}, 60, "--until=2026-01-02T03:04:05Z --limit=40"},
		{[]string{"--limit", "100"}, 100, "--until=" + stamp(0) + " --limit=1"},
		{[]string{"--limit", "100", "--state", "any"}, 60, "--until=" + stamp(0) + " --state=any --limit=100"},
		{[]string{"--all"}, 3, "--all=true"},
	} {
		var sel selectFlags
		cmd := &cobra.Command{}
		sel.add(&app{env: e}, cmd)
		if err := cmd.ParseFlags(tt.args); err != nil {
			t.Fatal(err)
		}
		if _, err := sel.selection(cmd, nil, e); err != nil {
			t.Fatal(err)
		}
		sel.rest(cmd, tt.done)
		if got := whereOf(cmd); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.args, got, tt.want)
		}
	}
}
