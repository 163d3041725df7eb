package kraft

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const log4j = `status = error
appender.c.type = Console
appender.c.name = C
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = WARN
rootLogger.appenderRef.c.ref = C
logger.k.name = kafka.server
logger.k.level = INFO
`

// properties returns the configuration of one node. Small buffers for small machines; a killed broker is fenced after 3 s.
func (c *Cluster) properties(id int) string {
	rf, isr := len(c.nodes), 1
	if rf > 2 {
		isr = 2
	}
	var voters []string
	for i, n := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, n.controller))
	}
	n := c.nodes[id-1]
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://%s", n.addr, n.controller),
		"advertised.listeners=PLAINTEXT://" + n.addr,
		"inter.broker.listener.name=PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs=" + c.dataDir(id),
		"auto.create.topics.enable=false",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"log.cleaner.dedupe.buffer.size=4194304",
		"log.index.size.max.bytes=1048576",
		"num.network.threads=2", "num.io.threads=4", "background.threads=2",
		"num.recovery.threads.per.data.dir=1",
		"broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500",
		"initial.broker.registration.timeout.ms=60000",
		fmt.Sprintf("default.replication.factor=%d", rf),
		fmt.Sprintf("min.insync.replicas=%d", isr),
	}
	for _, topic := range []string{"offsets.topic", "transaction.state.log", "share.coordinator.state.topic"} {
		lines = append(lines, fmt.Sprintf("%s.replication.factor=%d", topic, rf), topic+".num.partitions=8")
	}
	lines = append(lines,
		fmt.Sprintf("transaction.state.log.min.isr=%d", isr), fmt.Sprintf("share.coordinator.state.topic.min.isr=%d", isr),
		"offsets.topic.segment.bytes=8388608", "transaction.state.log.segment.bytes=8388608")
	return strings.Join(append(lines, c.extra...), "\n") + "\n"
}

// format writes the configurations and formats the storage: once by Kafka's tool, for the other nodes by copy, where only
// node.id and directory.id differ.
func (c *Cluster) format(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(c.dir, "log4j2.properties"), []byte(log4j), 0o600); err != nil {
		return fmt.Errorf("write logging configuration: %w", err)
	}
	for i := range c.nodes {
		if err := os.WriteFile(c.propsFile(i+1), []byte(c.properties(i+1)), 0o600); err != nil {
			return fmt.Errorf("write properties of node %d: %w", i+1, err)
		}
	}
	args := append([]string{"format", "-t", c.ID, "-c", c.propsFile(1)}, c.formatArgs...)
	if _, err := c.Tool(ctx, "kafka.tools.StorageTool", args...); err != nil {
		return err
	}
	const checkpoint = "bootstrap.checkpoint"
	boot, err := os.ReadFile(filepath.Join(c.dataDir(1), checkpoint))
	if err != nil {
		return fmt.Errorf("read %s: %w", checkpoint, err)
	}
	for id := 2; id <= len(c.nodes); id++ {
		meta := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", c.ID, id, kafkaUUID())
		if err := os.MkdirAll(c.dataDir(id), 0o700); err != nil {
			return fmt.Errorf("make data folder of node %d: %w", id, err)
		}
		for name, body := range map[string][]byte{checkpoint: boot, "meta.properties": []byte(meta)} {
			if err := os.WriteFile(filepath.Join(c.dataDir(id), name), body, 0o600); err != nil {
				return fmt.Errorf("write %s of node %d: %w", name, id, err)
			}
		}
	}
	return nil
}
