package ops_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/ops"
)

func TestNotReadyBeforeTheStart(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/startupz": 503, "/health": 503} {
		if a := d.get(path); a.code != want {
			t.Errorf("%s before the start: %d, want %d", path, a.code, want)
		}
	}
	d.ops.Started()
	for _, path := range []string{"/livez", "/readyz", "/startupz", "/health"} {
		if a := d.get(path); a.code != 200 || a.body["status"] != "pass" {
			t.Errorf("%s: %d %s", path, a.code, a.raw)
		}
	}
}

func TestAProbeFailsByItsOwnChecksAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		check              obs.Check
		live, ready, state string
	}{
		"a warning":          {obs.Check{Name: "kafka", Probes: obs.Ready, Report: says(obs.Warn, errAway)}, "200 pass", "200 warn", "200 warn"},
		"not ready":          {obs.Check{Name: "draining", Probes: obs.Ready, Report: says(obs.Fail, errAway)}, "200 pass", "503 fail", "503 fail"},
		"not alive":          {obs.Check{Name: "loop", Probes: obs.Live, Report: says(obs.Fail, errAway)}, "503 fail", "200 pass", "503 fail"},
		"no probe's concern": {obs.Check{Name: "store", Report: says(obs.Fail, errAway)}, "200 pass", "200 pass", "503 fail"},
	} {
		d := newDesk(t)
		d.ops.Started()
		d.ops.Add(tt.check)
		for path, want := range map[string]string{"/livez": tt.live, "/readyz": tt.ready, "/health": tt.state} {
			a := d.get(path)
			status, _ := a.body["status"].(string)
			if got := strings.TrimSpace(map[int]string{200: "200 ", 503: "503 "}[a.code] + status); got != want {
				t.Errorf("%s: %s says %s, want %s", name, path, got, want)
			}
		}
		if a := d.get("/health?exclude=" + tt.check.Name); a.body["status"] != "pass" {
			t.Errorf("%s: excluded, and still %s", name, a.raw)
		}
		named := strings.Contains(d.get("/readyz?verbose").raw, tt.check.Name+" "+string(tt.check.Report().Status)+": away\n")
		if a := d.get("/readyz?verbose"); named != (tt.check.Probes == obs.Ready) || !strings.Contains(a.raw, "[+] started pass\n") {
			t.Errorf("%s: verbose %q", name, a.raw)
		}
	}
}

func TestHealthNamesEveryCheckAndSinceWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.ops.Started()
		status := obs.Pass
		told := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
		d.ops.Add(
			obs.Check{Name: "kafka", Report: func() obs.Health { return obs.Health{Status: status} }},
			obs.Check{Name: "store", Report: func() obs.Health { return obs.Health{Status: obs.Warn, Since: told, Err: errAway} }},
		)
		since := func() time.Time {
			checks, _ := d.get("/health").body["checks"].(map[string]any)
			kafka, _ := checks["kafka"].(map[string]any)
			s, _ := kafka["since"].(string)
			at, err := time.Parse(time.RFC3339, s)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		first := since()
		<-time.After(time.Minute)
		if got := since(); !got.Equal(first) {
			t.Errorf("since %v, then %v: nothing has changed", first, got)
		}
		status = obs.Warn
		if got := since(); got.Sub(first) != time.Minute {
			t.Errorf("changed at %v, first %v", got, first)
		}
		a := d.get("/health")
		checks, _ := a.body["checks"].(map[string]any)
		store, _ := checks["store"].(map[string]any)
		if store["error"] != "away" || store["since"] != "2026-11-22T08:00:00Z" || a.body["version"] != "1.2.3" || a.body["uptime_s"] != 60.0 {
			t.Errorf("%s", a.raw)
		}
	})
}

func TestHealthShowsTheWorseOfTwoChecksOfOneName(t *testing.T) {
	t.Parallel()
	good := obs.Check{Name: "partitions", Report: func() obs.Health { return obs.Health{Status: obs.Pass} }}
	bad := obs.Check{Name: "partitions", Report: func() obs.Health { return obs.Health{Status: obs.Warn, Err: errAway} }}
	for _, both := range [][]obs.Check{{good, bad}, {bad, good}} {
		d := newDesk(t)
		d.ops.Started()
		d.ops.Add(both...)
		a := d.get("/health")
		checks, _ := a.body["checks"].(map[string]any)
		one, _ := checks["partitions"].(map[string]any)
		if one["status"] != "warn" || one["error"] != "away" {
			t.Errorf("%s", a.raw)
		}
	}
}

func TestMetricsOfTheBuild(t *testing.T) {
	t.Parallel()
	a := newDesk(t).get("/metrics")
	for _, want := range []string{`orderctl_build_info{commit="abc",go_version="go`, `version="1.2.3"} 1`, "go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(a.raw, want) {
			t.Errorf("%s is not in the scrape", want)
		}
	}
}

func TestOptionsAreRequired(t *testing.T) {
	t.Parallel()
	if _, err := ops.New(ops.Options{}); err == nil || err.Error() != "ops: Options.Log is required" {
		t.Errorf("%v", err)
	}
}

func TestWhatIsMountedIsFoundByHandlersMadeBefore(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	h := d.ops.Handler()
	if a := ask(t, h, "GET", "/metrics/consumer_lag", ""); a.code != 404 {
		t.Errorf("before: %d", a.code)
	}
	d.ops.Mount("/metrics/consumer_lag", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for method, code := range map[string]int{"GET": 418, "HEAD": 418, "POST": 405} {
		if a := ask(t, h, method, "/metrics/consumer_lag", ""); a.code != code {
			t.Errorf("%s: %d, want %d", method, a.code, code)
		}
	}
}
