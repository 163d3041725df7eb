package main

import (
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect/lag"
)

// A broker that hides its groups may hide the worst of them: well is only what is whole.
func TestACheckOfAPartIsNeverOK(t *testing.T) {
	t.Parallel()
	well := lag.Group{Group: "g", Status: lag.SevOK, Complete: true, Unread: lag.Know[int64](0), Oldest: lag.Know(0.0), Lost: lag.Know[int64](0)}
	for _, tt := range []struct {
		name   string
		report lag.Report
		code   int
		said   string
	}{
		{"all of it", lag.Report{Complete: true, Groups: []lag.Group{well}}, 0, "LAG OK - g 0 unread | "},
		{"a broker is silent", lag.Report{Groups: []lag.Group{well}, SilentBrokers: []int32{2}}, 3, "LAG UNKNOWN - broker 2 did not answer | "},
		{"something is unknown", lag.Report{Groups: []lag.Group{well}}, 3, "LAG UNKNOWN - "},
		{"a group that may not be described", lag.Report{Groups: []lag.Group{{
			Group: "g", Status: lag.SevUnknown, Reasons: []lag.Status{lag.Refused}, Problem: lag.Know(string(lag.NoAccess)),
		}}}, 3, "LAG UNKNOWN - NO-ACCESS | unread=U oldest=U lost=U unknown=U\n"},
		{"no group", lag.Report{Complete: true}, 3, "LAG UNKNOWN - no groups | "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newTestProcess(t)
			l := &lagRun{session: &session{app: newApp(p.env), cfg: &config.Config{}}}
			if err := l.printCheck(tt.report); codeOf(err) != tt.code || !strings.HasPrefix(p.out.String(), tt.said) {
				t.Errorf("%v, %s", err, p.out)
			}
		})
	}
}
