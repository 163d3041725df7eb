package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
)

// readSecrets fills each secret that the environment did not give from the file that its *_file key names.
func (b *builder) readSecrets(c *Config) {
	root := reflect.ValueOf(c).Elem()
	files := map[string]Key{}
	for _, k := range Keys() {
		files[k.Name] = k
	}
	for _, k := range Keys() {
		if !k.Secret {
			continue
		}
		path, _ := valueOf(c, files[k.file]).(string)
		if path == "" || b.origins[k.Name].Kind == FromEnv {
			continue
		}
		secret, err := b.readSecret(k.file, path)
		if err != nil {
			b.errs.add(&Problem{Key: k.file, Text: k.file + ": " + err.Error(), From: b.origins[k.file]})
			continue
		}
		root.FieldByIndex(k.index).Set(reflect.ValueOf(secret))
		b.origins[k.Name] = b.origins[k.file]
	}
}

func (b *builder) readSecret(key, path string) (Secret, error) {
	text, err := ReadFile(path)
	if err != nil {
		return Secret{}, err
	}
	value := strings.TrimRight(string(text), "\r\n")
	if value == "" {
		return Secret{}, fmt.Errorf("read %s: the file is empty", clean(path))
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		b.warnings = append(b.warnings, fmt.Sprintf("%s: %s can be read by others (mode %04o); chmod 600 it", key, clean(path), info.Mode().Perm()))
	}
	return NewSecret(value), nil
}
