package config

// Entry is one key of a loaded configuration, as `config show` prints it.
type Entry struct {
	Key
	Value  string // redacted
	Origin Origin
}

// Entries returns every key with its value and its origin. Secrets and passwords are redacted.
func (l Loaded) Entries() []Entry {
	entries := []Entry{}
	for _, k := range Keys() {
		entries = append(entries, Entry{Key: k, Value: Format(valueOf(l.Config, k)), Origin: l.Origin(k.Name)})
	}
	return entries
}
