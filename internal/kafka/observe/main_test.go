package observe_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/kafka"
)

func TestMain(m *testing.M) {
	kafka.Setup(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}
