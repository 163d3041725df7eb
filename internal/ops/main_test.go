package ops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logged collects log lines.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type desk struct {
	t     *testing.T
	ops   *ops.Ops
	level *slog.LevelVar
	log   *logged
}

func newDesk(t *testing.T, change ...func(*ops.Options)) *desk {
	t.Helper()
	reg, err := ops.NewRegistry(ops.Build{Version: "1.2.3", Commit: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, level: new(slog.LevelVar), log: &logged{}}
	o := ops.Options{Log: slog.New(slog.NewJSONHandler(d.log, nil)), Level: d.level, Gatherer: reg, Version: "1.2.3"}
	for _, c := range change {
		c(&o)
	}
	if d.ops, err = ops.New(o); err != nil {
		t.Fatal(err)
	}
	return d
}

type reply struct {
	code   int
	header http.Header
	raw    string
	body   map[string]any
}

func ask(t *testing.T, h http.Handler, method, path, body string, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8090"
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	a := reply{code: rec.Code, header: rec.Header(), raw: rec.Body.String()}
	if strings.Contains(a.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(rec.Body.Bytes(), &a.body); err != nil {
			t.Errorf("%s %s: %v\n%s", method, path, err, a.raw)
		}
	}
	return a
}

func (d *desk) get(path string) reply {
	d.t.Helper()
	return ask(d.t, d.ops.Handler(), http.MethodGet, path, "")
}

func says(s obs.Status, err error) func() obs.Health {
	return func() obs.Health { return obs.Health{Status: s, Err: err} }
}

var errAway = errors.New("away")
