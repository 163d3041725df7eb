package kafka

import (
	"fmt"
	"log/slog"
	"strings"
)

// logger is sarama's log as debug lines of ours. sarama writes no secrets into it.
type logger struct{ log *slog.Logger }

func (l logger) Print(v ...any)                 { l.line(fmt.Sprint(v...)) }
func (l logger) Printf(format string, v ...any) { l.line(fmt.Sprintf(format, v...)) }
func (l logger) Println(v ...any)               { l.line(fmt.Sprintln(v...)) }

func (l logger) line(s string) {
	s = strings.TrimSpace(s)
	if s == "using proxy" { // our own dialer, which sarama knows under that name
		return
	}
	l.log.Debug("kafka client", slog.String("detail", s))
}
