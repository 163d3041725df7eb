package broker

import (
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kfake"
)

// clusterLog carries what kfake says into our log.
type clusterLog struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l clusterLog) Logf(level kfake.LogLevel, format string, args ...any) {
	detail := slog.String("detail", fmt.Sprintf(format, args...))
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker", detail)
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker", detail)
	case kfake.LogLevelNone, kfake.LogLevelInfo, kfake.LogLevelDebug:
		l.log.Debug("embedded broker", detail)
	}
}

var _ kfake.Logger = clusterLog{}
