package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"
)

func newServeCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Takes orders over HTTP and answers 202 once Kafka has them on all in-sync replicas.",
		GroupID: groupRun, Args: noArgs,
		Example: `# take orders on port 8080
orderctl serve
# take them and apply them in one process
orderctl serve --with-consumer
# another port, metrics on a port of their own
orderctl serve --addr 127.0.0.1:8081 --admin-addr 127.0.0.1:8092`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			a.tuneMemory()
			return runServe(cmd.Context(), s)
		},
	}
	fs := cmd.Flags()
	keyFlag(cmd, fs, "serve.addr", "addr", "", "`HOST:PORT` of the API")
	keyFlag(cmd, fs, "serve.admin.addr", "admin-addr", "", "`HOST:PORT` of probes, metrics and log level")
	keyFlag(cmd, fs, "serve.with_consumer", "with-consumer", "", "apply orders too, in the same process")
	exits(cmd, exitOK, "stopped, every order in hand answered", exitFailed, "", exitUsage, "", exitUnreachable, "no Kafka within serve.startup.grace",
		exitDenied, "", exitNotFound, "a topic is missing: orderctl topics apply")
	seeAlso(cmd, "orderctl consume", "orderctl topics apply", "orderctl help config")
	return cmd
}

// runServe runs order intake, and the worker where it is asked for. Probes answer from the first moment to the last. It stops
// in this order: intake and worker drain side by side, then the producers and the database are closed, then probes and
// metrics end, then the log is closed.
func runServe(ctx context.Context, s *session) (err error) {
	c := s.cfg.Serve
	b, err := s.base(ctx, "orderctl-serve", c.Admin, c.WithConsumer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	api, err := listen(ctx, c.Addr, "addr")
	if err != nil {
		return err
	}
	admin, err := listen(ctx, c.Admin.Addr, "admin-addr")
	if err != nil {
		return errors.Join(err, api.Close())
	}
	return b.around(ctx, admin, func(ctx context.Context) (err error) {
		p, err := s.openPlant(ctx, b, "serve", plantOptions{intake: true, worker: c.WithConsumer})
		if err != nil {
			return errors.Join(err, api.Close())
		}
		defer func() { err = errors.Join(err, p.close(context.WithoutCancel(ctx))) }()
		s.runsUntilStopped(p.inHand)
		b.logs.Log.InfoContext(ctx, "listening", slog.String("api", api.Addr().String()), slog.String("admin", admin.Addr().String()))
		b.ops.Started()
		return p.run(ctx, func(ctx context.Context) error { return p.server.Run(ctx, api) })
	})
}
