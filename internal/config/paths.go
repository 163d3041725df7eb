package config

import (
	"path/filepath"
	"strings"
)

// Paths are the directories of the user that orderctl writes to, by the XDG rules. They need not exist.
type Paths struct {
	Config string // $XDG_CONFIG_HOME/orderctl
	State  string // $XDG_STATE_HOME/orderctl: the database of serve and consume
	Data   string // $XDG_DATA_HOME/orderctl: `dev`
	Cache  string // $XDG_CACHE_HOME/orderctl
}

// PathsOf derives the directories from an environment as os.Environ gives it.
func PathsOf(environ []string) Paths {
	env := environment(environ)
	home := env["HOME"]
	dir := func(name, fallback string) string {
		base := env[name]
		if !filepath.IsAbs(base) { // the XDG rules ignore relative ones
			base = filepath.Join(home, fallback)
		}
		return filepath.Join(base, "orderctl")
	}
	return Paths{
		Config: dir("XDG_CONFIG_HOME", ".config"),
		State:  dir("XDG_STATE_HOME", ".local/state"),
		Data:   dir("XDG_DATA_HOME", ".local/share"),
		Cache:  dir("XDG_CACHE_HOME", ".cache"),
	}
}

// environment turns os.Environ's list into a map; of two entries the first counts, as in os.Getenv.
func environment(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, e := range environ {
		name, value, ok := strings.Cut(e, "=")
		if _, seen := m[name]; ok && !seen {
			m[name] = value
		}
	}
	return m
}
