package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// ReloadOptions is what a Reloader needs.
type ReloadOptions struct {
	Loaded   Loaded              // what the process started with
	Log      *slog.Logger        // required
	Hangup   <-chan os.Signal    // SIGHUP: look at the file now; nil: never
	Applied  func(now *Config)   // called after each reload that changed something; nil: nobody
	Count    func(result string) // "ok" or "error", once for each reload; nil: nobody
	Debounce time.Duration       // how long the file must be still; 0: 250ms
	Poll     time.Duration       // how often the file is looked at anyway; 0: 30s
}

// Reloader follows the configuration file while the process runs. Only keys marked reload change; of the others it says
// that they need a restart. A file that is empty, broken or half written changes nothing.
type Reloader struct {
	o       ReloadOptions
	current atomic.Pointer[Config]
	applied [sha256.Size]byte // of the bytes in force
	refused [sha256.Size]byte // of the bytes last complained about
}

// NewReloader checks the options.
func NewReloader(o ReloadOptions) (*Reloader, error) {
	if o.Loaded.Config == nil {
		return nil, errors.New("config: ReloadOptions.Loaded is required")
	}
	if o.Log == nil {
		return nil, errors.New("config: ReloadOptions.Log is required")
	}
	if o.Debounce == 0 {
		o.Debounce = 250 * time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = 30 * time.Second
	}
	if o.Applied == nil {
		o.Applied = func(*Config) {}
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	r := &Reloader{o: o, applied: o.Loaded.digest}
	r.current.Store(o.Loaded.Config)
	return r, nil
}

// Config returns the configuration in force. It is never changed in place.
func (r *Reloader) Config() *Config { return r.current.Load() }

// Run follows the file until ctx ends; then it returns nil. Without a file there is nothing to follow.
func (r *Reloader) Run(ctx context.Context) error {
	if r.o.Loaded.Path == "" {
		<-ctx.Done()
		return nil
	}
	events, failures, stop := r.watch(ctx)
	defer stop()
	poll := time.NewTicker(r.o.Poll)
	defer poll.Stop()
	still := time.NewTimer(r.o.Debounce)
	still.Stop()
	armed, seen := false, [sha256.Size]byte{} // seen: what the last look saw
	look := func() {
		if !armed { // a file that changes all the time must not put the look off for ever
			armed, seen = true, r.digest()
			still.Reset(r.o.Debounce)
		}
	}
	look() // the file may have changed before the watch stood
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.o.Hangup:
			r.refused = [sha256.Size]byte{} // asked by hand: say again what is wrong
			look()
		case <-poll.C:
			look()
		case <-events:
			look()
		case err := <-failures:
			r.o.Log.WarnContext(ctx, "watching the configuration file failed; it is looked at now and then", slog.String("error", err.Error()))
		case <-still.C:
			armed = false
			// A writer that truncates and writes leaves a moment in which half a file is a whole document. So only
			// what two looks, a debounce apart, found the same is taken.
			if r.digest() != seen {
				look()
				continue
			}
			r.reload(ctx)
		}
	}
}

// watch follows the directory, because editors and ConfigMaps replace the file by a rename. Where the kernel refuses,
// polling alone has to do.
func (r *Reloader) watch(ctx context.Context) (<-chan fsnotify.Event, <-chan error, func()) {
	none := func() {}
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(filepath.Dir(r.o.Loaded.Path)); err == nil {
			return w.Events, w.Errors, func() { _ = w.Close() }
		}
		_ = w.Close()
	}
	r.o.Log.WarnContext(ctx, "the configuration file cannot be watched; it is looked at now and then",
		slog.String("file", r.o.Loaded.Path), slog.String("error", err.Error()))
	return nil, nil, none
}

func (r *Reloader) digest() [sha256.Size]byte {
	b, err := ReadFile(r.o.Loaded.Path)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(b)
}

// reload loads the file anew and puts the hot keys in force with one store of a pointer.
func (r *Reloader) reload(ctx context.Context) {
	text, err := ReadFile(r.o.Loaded.Path)
	sum := sha256.Sum256(text)
	if err == nil && (sum == r.applied || sum == r.refused) {
		return
	}
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%s is empty", r.o.Loaded.Path)
	}
	var next Loaded
	if err == nil {
		next, err = load(r.o.Loaded.input, r.o.Loaded.Path, text)
	}
	if err != nil {
		if sum != r.refused {
			r.o.Log.WarnContext(ctx, "configuration not reloaded; the old values stay", slog.String("error", err.Error()))
			r.o.Count("error")
		}
		r.refused = sum
		return
	}
	r.applied, r.refused = sum, [sha256.Size]byte{}
	hot, cold, merged := merge(r.Config(), next.Config)
	r.current.Store(merged)
	r.o.Count("ok")
	for _, key := range cold {
		r.o.Log.WarnContext(ctx, "restart required", slog.String("key", key))
	}
	if len(hot) > 0 {
		r.o.Log.InfoContext(ctx, "configuration reloaded", slog.Any("keys", hot))
		r.o.Applied(merged)
	}
}

// merge returns a copy of old with the hot keys of next, and which keys differ.
func merge(old, next *Config) (hot, cold []string, merged *Config) {
	out := *old
	for _, k := range Keys() {
		if same(valueOf(old, k), valueOf(next, k)) {
			continue
		}
		if !k.Reload {
			cold = append(cold, k.Name)
			continue
		}
		hot = append(hot, k.Name)
		reflect.ValueOf(&out).Elem().FieldByIndex(k.index).Set(reflect.ValueOf(next).Elem().FieldByIndex(k.index))
	}
	return hot, cold, &out
}

func same(a, b any) bool {
	switch x := a.(type) {
	case Secret:
		y, _ := b.(Secret)
		return x.Reveal() == y.Reveal()
	case DSN:
		y, _ := b.(DSN)
		return x.Reveal() == y.Reveal()
	}
	return reflect.DeepEqual(a, b)
}
