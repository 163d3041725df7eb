package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// A discard that ended early names the command that goes on with it: the same letters, the same way, the same reason.
func TestADiscardSaysHowItGoesOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		undo bool
		want string
	}{
		{[]string{"7/31", "2/118"}, false, "orderctl dlq discard -g g 7/31 2/118 --reason 'it'\\''s a test'"},
		{[]string{"--class", "invalid,decode", "--since", "1h"}, true, "orderctl dlq discard -g g --class=invalid,decode --since=1h --undo --reason 'it'\\''s a test'"},
	} {
		var sel selectFlags
		cmd := &cobra.Command{}
		sel.add(&app{env: newTestProcess(t).env}, cmd)
		if err := cmd.ParseFlags(tt.args); err != nil {
			t.Fatal(err)
		}
		f := discardFlags{deskFlags: deskFlags{reason: "it's a test"}, undo: tt.undo}
		if got := f.again(cmd, "-g g "); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
