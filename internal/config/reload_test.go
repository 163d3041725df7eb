package config_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/config"
)

// follower is a Reloader at work on a file.
type follower struct {
	r    *config.Reloader
	path string
	hup  chan os.Signal
	log  *syncBuffer
	ok   atomic.Int64
	bad  atomic.Int64
	stop func()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func follow(t *testing.T, text string, poll time.Duration) *follower {
	t.Helper()
	f := &follower{path: write(t, text), hup: make(chan os.Signal), log: &syncBuffer{}}
	loaded := must(t, config.Input{Path: f.path})
	var err error
	f.r, err = config.NewReloader(config.ReloadOptions{
		Loaded: loaded, Log: slog.New(slog.NewTextHandler(f.log, nil)), Hangup: f.hup, Debounce: 5 * time.Millisecond, Poll: poll,
		Count: func(result string) {
			if result == "ok" {
				f.ok.Add(1)
			} else {
				f.bad.Add(1)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	f.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(f.stop)
	return f
}

// eventually waits until ok, or fails after ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within ten seconds: %s", what)
		case <-tick.C:
		}
	}
}

// replace puts another file in the place of the one that is followed. Tests that count looks use it: rewrite leaves the
// file empty for a moment, on a busy machine for longer than a debounce, and an empty file counts too.
func (f *follower) replace(t *testing.T, text string) {
	t.Helper()
	next := f.path + ".next"
	if err := writeFile(next, text); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, f.path); err != nil {
		t.Fatal(err)
	}
}

func (f *follower) rewrite(t *testing.T, text string) {
	t.Helper()
	if err := writeFile(f.path, text); err != nil {
		t.Fatal(err)
	}
}

func (f *follower) level() string { return f.r.Config().Log.Level }

func TestAChangedFileChangesWhatIsHotAndNamesTheRest(t *testing.T) {
	t.Parallel()
	f := follow(t, "log: {level: info}\n", time.Hour)
	before := f.r.Config()
	f.replace(t, "log: {level: debug}\nkafka: {brokers: [other:1]}\nserve: {addr: ':1'}\n")
	eventually(t, "the level is debug", func() bool { return f.level() == "debug" })
	if got := f.r.Config().Kafka.Brokers[0]; got != "localhost:9092" {
		t.Errorf("brokers changed while running: %s", got)
	}
	if before.Log.Level != "info" {
		t.Error("the old configuration was changed in place")
	}
	eventually(t, "it is logged", func() bool { return strings.Contains(f.log.String(), "configuration reloaded") })
	for _, want := range []string{`msg="restart required" key=kafka.brokers`, `msg="restart required" key=serve.addr`, `msg="configuration reloaded" keys=[log.level]`} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("no %s in %s", want, f.log)
		}
	}
	if f.ok.Load() != 1 || f.bad.Load() != 0 {
		t.Errorf("counted %d ok, %d error", f.ok.Load(), f.bad.Load())
	}
}

func TestAFileThatIsRenamedOverIsFollowed(t *testing.T) {
	t.Parallel()
	f := follow(t, "log: {level: info}\n", time.Hour)
	for _, level := range []string{"warn", "error", "debug"} {
		f.replace(t, "log: {level: "+level+"}\n")
		eventually(t, "the level is "+level, func() bool { return f.level() == level })
	}
}

// A ConfigMap is a link to a directory that is itself replaced.
func TestAConfigMapIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, v := range []string{"info", "debug"} {
		if err := os.Mkdir(filepath.Join(dir, v), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(filepath.Join(dir, v, "orderctl.yaml"), "log: {level: "+v+"}\n"); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, "tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("info", "..data")
	link(filepath.Join("..data", "orderctl.yaml"), "orderctl.yaml")
	loaded := must(t, config.Input{Path: filepath.Join(dir, "orderctl.yaml")})
	r, err := config.NewReloader(config.ReloadOptions{Loaded: loaded, Log: slog.New(slog.DiscardHandler), Debounce: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	link("debug", "..data")
	eventually(t, "the level is debug", func() bool { return r.Config().Log.Level == "debug" })
}

func TestABadFileChangesNothingAndIsToldOnce(t *testing.T) {
	t.Parallel()
	f := follow(t, "log: {level: warn}\n", 20*time.Millisecond)
	for i, bad := range []string{"", "log: {level: loud}\n", "log: {\n", "kafka: {timeout: 5}\n"} {
		f.replace(t, bad)
		eventually(t, "the bad file is counted", func() bool { return f.bad.Load() == int64(i+1) })
		if f.level() != "warn" {
			t.Errorf("%q: level %s", bad, f.level())
		}
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the missing file is counted", func() bool { return f.bad.Load() == 5 })
	if got := strings.Count(f.log.String(), "the old values stay"); got != 5 {
		t.Errorf("told %d times:\n%s", got, f.log)
	}
	f.replace(t, "log: {level: debug}\n")
	eventually(t, "a good file counts again", func() bool { return f.level() == "debug" })
}

func TestAHangupLooksAtOnceAndTellsAgain(t *testing.T) {
	t.Parallel()
	f := follow(t, "log: {level: info}\n", time.Hour)
	f.replace(t, "log: {level: loud}\n")
	eventually(t, "it is told", func() bool { return f.bad.Load() == 1 })
	f.hup <- syscall.SIGHUP
	eventually(t, "it is told again", func() bool { return f.bad.Load() == 2 })
}

func TestWithoutAFileThereIsNothingToFollow(t *testing.T) {
	t.Parallel()
	loaded := must(t, config.Input{Environ: []string{"HOME=" + t.TempDir()}})
	r, err := config.NewReloader(config.ReloadOptions{Loaded: loaded, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil || r.Config() != loaded.Config {
		t.Errorf("Run: %v", err)
	}
}

func TestTheOptionsOfAReloaderAreChecked(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]config.ReloadOptions{
		"config: ReloadOptions.Loaded is required": {Log: slog.New(slog.DiscardHandler)},
		"config: ReloadOptions.Log is required":    {Loaded: config.Loaded{Config: config.Defaults()}},
	} {
		if _, err := config.NewReloader(o); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Written in place all the time, emptied and broken in between: every value that a reader sees was written as a whole.
func TestAFileThatIsRewrittenAllTheTimeNeverShowsAMixture(t *testing.T) {
	t.Parallel()
	whole := "kafka: {name: shop}\nlog: {level: %s, format: json}\n"
	text := func(level string) string { return strings.Replace(whole, "%s", level, 1) }
	f := follow(t, text("warn"), 3*time.Millisecond)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			switch {
			case i%50 == 10:
				_ = writeFile(f.path, "")
			case i%50 == 20:
				_ = writeFile(f.path, "log: {")
			case i%2 == 0:
				_ = writeFile(f.path, text("warn"))
			default:
				next := f.path + ".next"
				_ = writeFile(next, text("error"))
				_ = os.Rename(next, f.path)
			}
		}
	})
	deadline := time.NewTimer(time.Second)
	defer deadline.Stop()
	for running := true; running; {
		select {
		case <-deadline.C:
			running = false
		default:
		}
		c := f.r.Config()
		if c.Log.Level != "warn" && c.Log.Level != "error" || c.Log.Format != "json" || c.Kafka.Name != "shop" || c.Kafka.Timeout != 10*time.Second {
			t.Fatalf("saw %+v, name %q, timeout %s", c.Log, c.Kafka.Name, c.Kafka.Timeout)
		}
	}
	close(done)
	wg.Wait()
	f.rewrite(t, text("debug"))
	eventually(t, "the last whole file counts", func() bool { return f.level() == "debug" })
}
