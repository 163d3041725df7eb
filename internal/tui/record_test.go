package tui_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/tui"
)

// watch shows a source until it is at its end, and returns every frame.
func watch(t *testing.T, src tui.Source, n int, now func() time.Time) []string {
	t.Helper()
	if c, ok := src.(interface{ Now() time.Time }); ok {
		now = c.Now
	}
	s, _ := tui.NewState(setup(), 2*time.Second, 5*time.Minute, now())
	s.Setup.SelfPaced = true
	var frames []string
	for range n {
		sample, err := src.Sample(t.Context())
		at := now()
		var timed interface{ When() time.Time }
		switch {
		case errors.As(err, &timed):
			s, _ = tui.Reduce(s, tui.Failed{Gen: s.Poll, At: timed.When(), Err: err})
		case err != nil:
			t.Fatal(err)
		default:
			if !sample.Got.IsZero() {
				at = sample.Got
			}
			s, _ = tui.Reduce(s, tui.Sampled{Gen: s.Poll, At: at, Sample: sample})
		}
		frames = append(frames, frame(s, tui.UTF8()))
	}
	return frames
}

func TestAReplayShowsWhatWasShownByteForByte(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "outage.jsonl")
		const looks = 90 // the demonstration has its outage in there
		r := tui.NewRecorder(tui.NewDemo(7, 2*time.Second, time.Now), path, tui.Header{Group: "orders-worker", IntervalMS: 2000}, time.Now)
		shown := watch(t, r, looks, time.Now)
		if err := r.Close(); err != nil || r.Notice() != "" {
			t.Fatalf("%v", err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		p, err := tui.ReadRecord(bytes.NewReader(raw), 10, time.Now)
		if err != nil || p.Cut || p.Header.Group != "orders-worker" || p.Header.IntervalMS != 2000 {
			t.Fatalf("%v, %+v", err, p.Header)
		}
		begin := time.Now()
		again := watch(t, p, looks, time.Now)
		took := time.Since(begin)
		stale := 0
		for i := range shown {
			if strings.Contains(shown[i], "STALE") {
				stale++
			}
			if shown[i] != again[i] {
				t.Fatalf("frame %d was\n%s\nand is\n%s", i, shown[i], again[i])
			}
		}
		if stale < 3 || !p.Ended() {
			t.Errorf("%d frames of the outage, at the end: %v", stale, p.Ended())
		}
		if took < 12*time.Second || took > 20*time.Second {
			t.Errorf("ten times as fast it took %s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Sample(ctx); !errors.Is(err, tui.ErrEnd) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestTheSameSeedGivesTheSameFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := watch(t, tui.NewDemo(7, 2*time.Second, time.Now), 110, time.Now)
		if took := time.Since(begin); took < 200*time.Second || took > 280*time.Second {
			t.Errorf("110 looks took %s", took)
		}
		b, other := watch(t, tui.NewDemo(7, 2*time.Second, time.Now), 110, time.Now), watch(t, tui.NewDemo(8, 2*time.Second, time.Now), 110, time.Now)
		if strings.Join(a, "") != strings.Join(b, "") {
			t.Error("the same seed gave other frames")
		}
		if strings.Join(a, "") == strings.Join(other, "") {
			t.Error("another seed gave the same frames")
		}
		all := strings.Join(a, "\n")
		for _, want := range []string{"HOT", "GROWING", "DRAINING", "STALE", "Try 2 in", "LIVE"} {
			if !strings.Contains(all, want) {
				t.Errorf("a whole round never shows %q", want)
			}
		}
		if strings.Count(all, "STALE") < 3 {
			t.Error("the broker was not lost for 20 s")
		}
	})
}

func TestARecordThatIsNoneIsRefusedAndACutOneIsRead(t *testing.T) {
	t.Parallel()
	header := `{"schema":"orderctl.top-record/v1","group":"g","interval_ms":2000,"version":"1"}` + "\n"
	one, err := json.Marshal(sample(noon))
	if err != nil {
		t.Fatal(err)
	}
	entry := `{"at":"2026-11-22T14:32:07Z","sample":` + string(one) + "}\n"
	for name, text := range map[string]string{
		"nothing":            "",
		"another schema":     `{"schema":"orderctl.top-record/v2"}` + "\n" + entry,
		"no JSON":            "hello\n" + entry,
		"rubbish in between": header + "{rubbish\n" + entry,
	} {
		if _, err := tui.ReadRecord(strings.NewReader(text), 1, time.Now); !errors.Is(err, tui.ErrNotARecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := tui.ReadRecord(strings.NewReader(header+entry+entry[:len(entry)/2]), 1, time.Now)
	if err != nil || !p.Cut {
		t.Fatalf("a cut line: %v, %v", err, p)
	}
	got, err := p.Sample(t.Context())
	if err != nil || got.Group.Unread.V != 14210 || len(got.Rows) != 6 || got.Rows[3].Status != "HOT" || !p.Ended() {
		t.Errorf("%v, %+v", err, got.Group)
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add([]byte(`{"schema":"orderctl.top-record/v1","group":"g"}` + "\n" + `{"at":"2026-11-22T14:32:07Z","error":"x"}`))
	f.Add([]byte(`{"schema":"orderctl.top-record/v1"}` + "\n" + `{"sample":{"partitions":[{"unread":-1,"severity":"?"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := tui.ReadRecord(bytes.NewReader(raw), 0, time.Now)
		if err != nil {
			return
		}
		s, _ := tui.NewState(setup(), time.Second, time.Minute, noon)
		for i := 0; i < 20 && !p.Ended(); i++ {
			if sample, err := p.Sample(t.Context()); err == nil {
				s, _ = tui.Reduce(s, tui.Sampled{Gen: s.Poll, At: sample.Got, Sample: sample})
			}
			exact(t, frame(s, tui.UTF8()), 80, 24)
		}
	})
}

func TestARecordThatCannotBeWrittenIsSaidOnceAndStopsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"an existing file": there, "no folder": filepath.Join(dir, "no", "x")}
	if _, err := os.Stat("/dev/full"); err == nil {
		link := filepath.Join(dir, "full")
		if os.Symlink("/dev/full", link) == nil {
			paths["a link"] = link
		}
	}
	for name, path := range paths {
		r := tui.NewRecorder(&script{answers: []any{sample(noon), sample(noon)}}, path, tui.Header{}, time.Now)
		for range 2 {
			if _, err := r.Sample(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := r.Notice(); n == "" || r.Notice() != "" {
			t.Errorf("%s: it says %q", name, n)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw, _ := os.ReadFile(there); string(raw) != "precious" {
		t.Errorf("the file holds %q", raw)
	}
}

func TestASavedFrameIsTextAndJSONForItsOwner(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample)
	o := tui.Options{Setup: setup(), Glyphs: tui.UTF8(), ExportDir: t.TempDir()}
	path, err := tui.Export(o, d.s, noon)
	if err != nil || filepath.Base(path) != "orderctl-top-20261122T143207Z.txt" {
		t.Fatalf("%s, %v", path, err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), "● LIVE 2s") || bytes.ContainsRune(raw, 0x1b) || strings.Count(string(raw), "\n") != 24 {
		t.Errorf("%v\n%s", err, raw)
	}
	var doc map[string]any
	body, err := os.ReadFile(strings.TrimSuffix(path, ".txt") + ".json")
	if err != nil || json.Unmarshal(body, &doc) != nil || doc["schema"] != tui.Schema || doc["phase"] != "live" {
		t.Errorf("%v\n%s", err, body)
	}
	history, _ := doc["history"].(map[string]any)
	if in, _ := history["in_per_second"].([]any); len(in) != 150 || in[149] == nil {
		t.Errorf("the history is %v", history)
	}
	for _, p := range []string{path, strings.TrimSuffix(path, ".txt") + ".json"} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
	}
	if _, err := tui.Export(o, d.s, noon); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	o.ExportDir = filepath.Join(o.ExportDir, "missing")
	if _, err := tui.Export(o, d.s, noon); err == nil {
		t.Error("into a folder that is not there")
	}
}
