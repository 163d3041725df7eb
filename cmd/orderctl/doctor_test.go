package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/setup"
	"commerce.internal/orderctl/internal/text"
)

// findings are one of each level, and what a stranger may have put into them.
func findings() setup.Diagnosis {
	return setup.Diagnosis{Findings: []setup.Finding{
		{Level: setup.LevelOK, Check: "config", Text: "configs/orderctl.yaml is good"},
		{Level: setup.LevelFail, Check: "broker kafka-1:9092", Text: "TCP: cannot reach Kafka at kafka-1:9092: connection refused, and this is said at some length", Fix: "set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers (now from: default), or start the broker", Code: 3},
		{Level: setup.LevelSkip, Check: "cluster", Text: "not checked, after broker kafka-1:9092"},
		{Level: setup.LevelWarn, Check: "group", Text: "nobody is in group 订单" + evil + "; nothing waits", Fix: "orderctl consume -g 订单" + evil},
	}}
}

// shown prints the findings as a session with these options would.
func shown(t *testing.T, d setup.Diagnosis, terminal bool, width int, global globals) (string, error) {
	t.Helper()
	var b bytes.Buffer
	a := newApp(env{stdout: &b, stderr: &b, stdoutTerminal: terminal, width: func() int { return width }, environ: []string{"TERM=xterm"}})
	a.global = global
	err := a.printDoctor(d, "prod", false)
	return b.String(), err
}

func TestADiagnosisOnATerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{80, 200} {
		got, err := shown(t, findings(), true, width, globals{format: "table", color: "never"})
		if codeOf(err) != 3 || err.Error() != "" {
			t.Errorf("ends with %v", err)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if w := text.Width(line); w > width && !strings.HasPrefix(strings.TrimSpace(line), "fix: ") {
				t.Errorf("%d cells at %d: %q", w, width, line)
			}
			if strings.ContainsAny(line, "\x1b\x07\r\x7f\u009b\u202e") {
				t.Errorf("raw: %q", line)
			}
		}
		if !strings.Contains(got, "fix: set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers (now from: default), or start the broker\n") {
			t.Errorf("a fix is not whole at %d:\n%s", width, got)
		}
	}
	got, _ := shown(t, findings(), true, 80, globals{format: "table", color: "always"})
	for _, level := range []string{"\x1b[32mok\x1b[0m ", "\x1b[31mFAIL\x1b[0m ", "\x1b[2mskip\x1b[0m ", "\x1b[33mwarn\x1b[0m "} {
		if !strings.Contains(got, level) {
			t.Errorf("no %q in %q", level, got)
		}
	}
	if strings.Count(got, "\x1b") != 8 {
		t.Errorf("more than the levels is coloured: %q", got)
	}
}

func TestADiagnosisOffATerminal(t *testing.T) {
	t.Parallel()
	got, _ := shown(t, findings(), false, 0, globals{format: "table", color: "auto"})
	want := `ok    config               configs/orderctl.yaml is good
FAIL  broker kafka-1:9092  TCP: cannot reach Kafka at kafka-1:9092: connection refused, and this is said at some length
                           fix: set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers (now from: default), or start the broker
skip  cluster              not checked, after broker kafka-1:9092
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s", got)
	}
	got, _ = shown(t, findings(), false, 0, globals{format: "json"})
	var doc doctorDoc
	if err := json.Unmarshal([]byte(got), &doc); err != nil || doc.Schema != "orderctl.doctor/v1" || doc.Status != setup.LevelFail || doc.ExitCode != 3 ||
		*doc.Cluster != "prod" || len(doc.Checks) != 4 || doc.Checks[0].Fix != nil || *doc.Checks[3].Fix != "orderctl consume -g 订单"+evil {
		t.Errorf("%+v, %v", doc, err)
	}
	got, _ = shown(t, findings(), false, 0, globals{format: "jsonl"})
	if n := strings.Count(got, "\n"); n != 4 || !strings.HasPrefix(got, `{"schema":"orderctl.doctor.check/v1","check":"config","status":"ok"`) {
		t.Errorf("%d lines:\n%s", n, got)
	}
	got, _ = shown(t, setup.Diagnosis{}, false, 0, globals{format: "json"})
	if !strings.Contains(got, `"checks": []`) {
		t.Errorf("an empty one: %s", got)
	}
}

// Folding loses no word, and no line is wider than it may be unless a word alone is.
func TestFoldedLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("ab 订 单,;"))).Draw(rt, "s")
		width := rapid.IntRange(1, 30).Draw(rt, "width")
		lines := fold(s, width)
		if strings.Join(lines, " ") != strings.Join(strings.Fields(s), " ") {
			rt.Errorf("%q of %q", lines, s)
		}
		for _, l := range lines {
			if text.Width(l) > width && strings.Contains(l, " ") {
				rt.Errorf("%q is wider than %d", l, width)
			}
		}
	})
}

func TestAsWhomKafkaKnowsUs(t *testing.T) {
	t.Parallel()
	files := brokertest.Start(t, brokertest.TLS(true)).Files()
	for name, tt := range map[string]struct {
		kafka config.Kafka
		want  string
	}{
		"nobody":                          {config.Kafka{}, ""},
		"a user":                          {config.Kafka{SASL: config.SASL{Mechanism: "PLAIN", Username: "shop"}}, "User:shop"},
		"a client of OAuth":               {config.Kafka{SASL: config.SASL{Mechanism: "OAUTHBEARER", OAuth: config.OAuth{ClientID: "shop"}}}, "User:shop"},
		"a certificate":                   {config.Kafka{TLS: config.TLS{Enabled: true, CertFile: files.Cert, KeyFile: files.Key}}, "User:CN=client"},
		"a certificate that is not there": {config.Kafka{TLS: config.TLS{Enabled: true, CertFile: "/nowhere", KeyFile: "/nowhere"}}, ""},
	} {
		s := &session{cfg: &config.Config{Kafka: tt.kafka}}
		if got := s.principal(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestOldBrokersAreKnownByOneVersion(t *testing.T) {
	t.Parallel()
	for version, old := range map[int16]bool{-1: true, 2: true, 3: false, 5: false} {
		if r := reachOf(admin.Probe{InitProducer: version}); r.TooOld != old {
			t.Errorf("InitProducerId %d: too old %v", version, r.TooOld)
		}
	}
	if r := reachOf(admin.Probe{InitProducer: -1, Failed: admin.StepTCP, Err: os.ErrDeadlineExceeded}); r.TooOld || r.Step != "TCP" {
		t.Errorf("a broker that was not reached: %+v", r)
	}
}

// The folder of dev is told of where it is, and by whom it is held.
func TestDoctorSeesTheFolderOfDev(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, ".local", "share", "orderctl", "dev")
	look := func(more ...string) string {
		cmd := orderctl(t, append([]string{"HOME=" + home}, more...), "doctor", "--timeout", "1s")
		raw, _ := cmd.Output() // the code is not the matter here
		return string(raw)
	}
	if got := look("ORDERCTL_KAFKA_BROKERS=127.0.0.1:1"); strings.Contains(got, "dev ") {
		t.Errorf("there is no folder:\n%s", got)
	}
	b := brokertest.Start(t, brokertest.OnDisk(dir))
	if got := look("ORDERCTL_KAFKA_BROKERS=127.0.0.1:1"); !strings.Contains(got, "is held by pid ") || !strings.Contains(got, "fix: stop pid ") {
		t.Errorf("held, and nobody answers:\n%s", got)
	}
	if got := look("ORDERCTL_KAFKA_BROKERS=" + b.Addr()); !strings.Contains(got, ", in use by pid ") {
		t.Errorf("held by who answers:\n%s", got)
	}
	b.Stop()
	if got := look("ORDERCTL_KAFKA_BROKERS=127.0.0.1:1"); !strings.Contains(got, ", not in use") {
		t.Errorf("free again:\n%s", got)
	}
	var none out.Options
	if len(doctorLines(setup.Diagnosis{}, none).Rows) != 0 {
		t.Error("lines of nothing")
	}
}
