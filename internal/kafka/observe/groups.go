package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// listed is a group as its coordinator lists it: whoever lists a group coordinates it.
type listed struct {
	kind, state string
	coordinator int32
}

const (
	kindClassic  = "classic"
	kindConsumer = "consumer" // KIP-848

	coordinatorPause = 200 * time.Millisecond // before a coordinator that is not there yet is looked for again
)

// listGroups asks brokers for their groups, all at once. silent are those that did not answer.
func (c *conn) listGroups(ids []int32) (groups map[string]listed, silent []int32) {
	groups = map[string]listed{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			mine, err := c.listAt(id)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, id)
				return
			}
			maps.Copy(groups, mine)
		})
	}
	wg.Wait()
	slices.Sort(silent)
	return groups, silent
}

func (c *conn) listAt(id int32) (map[string]listed, error) {
	res, err := ask(c, id, func(b *sarama.Broker) (*sarama.ListGroupsResponse, error) {
		return b.ListGroups(&sarama.ListGroupsRequest{Version: 5})
	})
	if err == nil && res.Err != sarama.ErrNoError {
		err = res.Err
	}
	if err != nil {
		return nil, fmt.Errorf("list groups of broker %d: %w", id, err)
	}
	groups := map[string]listed{}
	for name, protocol := range res.Groups {
		data := res.GroupsData[name]
		kind := lower(data.GroupType)
		if protocol != "consumer" && protocol != "" && (kind == "" || kind == kindClassic) {
			continue // connect, schema registry: no offsets of theirs
		}
		groups[name] = listed{kind: kind, state: data.GroupState, coordinator: id}
	}
	return groups, nil
}

// coordinator asks which broker coordinates a group. Kafka needs a moment for it where no group has ever been.
func (c *conn) coordinator(ctx context.Context, group string) (int32, error) {
	for attempt := 0; ; attempt++ {
		found, err := askAny(c, func(b *sarama.Broker) (*sarama.FindCoordinatorResponse, error) {
			return b.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 2, CoordinatorKey: group})
		})
		if err == nil && found.Err != sarama.ErrNoError {
			err = found.Err
		}
		if err == nil && found.Coordinator == nil {
			err = sarama.ErrConsumerCoordinatorNotAvailable
		}
		if err == nil {
			c.add(found.Coordinator)
			return found.Coordinator.ID(), nil
		}
		if !errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable) || attempt == 4 || !pause(ctx, coordinatorPause) {
			return -1, fmt.Errorf("find coordinator of %s: %w", group, err)
		}
	}
}

// add takes over one broker that metadata did not name.
func (c *conn) add(b *sarama.Broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.brokers[b.ID()]; !ok {
		c.brokers[b.ID()] = b
	}
}

// pause waits, and reports whether ctx still holds.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func lower(kind string) string {
	switch kind {
	case "Classic":
		return kindClassic
	case "Consumer":
		return kindConsumer
	case "Share":
		return "share"
	case "Streams":
		return "streams"
	}
	return kind
}

// groups observes the groups of a query. silent are brokers that did not list theirs where all were asked for.
func (c *conn) groups(ctx context.Context, q lag.Query) (found map[string]lag.GroupObs, silent []int32) {
	found = map[string]lag.GroupObs{}
	var known map[string]listed
	at := map[int32][]string{}
	if q.All {
		known, silent = c.listGroups(c.ids())
		for name, g := range known {
			at[g.coordinator] = append(at[g.coordinator], name)
		}
	}
	named := slices.DeleteFunc(slices.Clone(q.Groups), func(name string) bool {
		_, ok := known[name]
		return ok
	})
	c.locate(ctx, named, found, at)
	moved := c.groupsOf(at, known, found)
	if len(moved) > 0 && pause(ctx, coordinatorPause) {
		at = map[int32][]string{}
		c.locate(ctx, moved, found, at)
		c.groupsOf(at, nil, found)
	}
	return found, silent
}

// locate finds the coordinators of groups and adds them to at.
func (c *conn) locate(ctx context.Context, names []string, found map[string]lag.GroupObs, at map[int32][]string) {
	for _, name := range names {
		id, err := c.coordinator(ctx, name)
		if err != nil {
			found[name] = lag.GroupObs{Coordinator: -1, Problem: problemIn(err)}
			continue
		}
		at[id] = append(at[id], name)
	}
}

// groupsOf asks all coordinators at once. known is what they listed; nil: they are asked for that too.
func (c *conn) groupsOf(at map[int32][]string, known map[string]listed, found map[string]lag.GroupObs) (moved []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for id, names := range at {
		wg.Go(func() {
			mine := known
			if mine == nil {
				mine, _ = c.listAt(id) // without it types are unknown, nothing else
			}
			groups, strays := c.groupsAt(id, names, mine)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(found, groups)
			moved = append(moved, strays...)
		})
	}
	wg.Wait()
	return moved
}

// commitsOf asks for the commits of groups whose members are known, and for the members of those that are not stable.
// moved: a coordinator is another one now, or does not answer, so that all has to be asked anew.
func (c *conn) commitsOf(groups map[string]lag.GroupObs) (found map[string]lag.GroupObs, moved bool) {
	at := map[int32][]string{}
	found = map[string]lag.GroupObs{}
	for name, g := range groups {
		found[name] = g
		if g.Problem == "" {
			at[g.Coordinator] = append(at[g.Coordinator], name)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for id, names := range at {
		wg.Go(func() {
			mine := map[string]lag.GroupObs{}
			var classic, modern []string
			for _, name := range names {
				g := groups[name]
				mine[name] = g
				switch {
				case g.State == lag.StateStable:
				case g.Type == kindConsumer:
					modern = append(modern, name)
				default:
					classic = append(classic, name)
				}
			}
			strays := c.commits(id, names, mine)
			c.classic(id, classic, mine)
			c.modern(id, modern, mine)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(found, mine)
			moved = moved || len(strays) > 0 || slices.ContainsFunc(names, func(name string) bool { return mine[name].Problem != "" })
		})
	}
	wg.Wait()
	return found, moved
}

// problemIn tells what an error means for a group.
func problemIn(err error) lag.Problem {
	var code sarama.KError
	if errors.As(err, &code) {
		return problemOf(code)
	}
	return lag.NoAnswer
}

// groupsAt asks one coordinator for commits and members of its groups.
func (c *conn) groupsAt(id int32, names []string, known map[string]listed) (found map[string]lag.GroupObs, moved []string) {
	found = map[string]lag.GroupObs{}
	var classic, modern, all []string
	for _, name := range names {
		g := known[name]
		obs := lag.GroupObs{Type: g.kind, State: g.state, Coordinator: id}
		switch g.kind {
		case "", kindClassic:
			classic, all = append(classic, name), append(all, name)
		case kindConsumer:
			modern, all = append(modern, name), append(all, name)
		default:
			obs.Problem = lag.Unsupported
		}
		found[name] = obs
	}
	// Commits before everything else: the ends are asked for last, so that a race cannot make a lag negative.
	moved = c.commits(id, all, found)
	c.classic(id, classic, found)
	c.modern(id, append(modern, suspects(classic, found, known)...), found)
	return found, moved
}

// suspects are groups that DescribeGroups calls dead although they committed or are listed: groups of KIP-848 look so to
// it, where the broker does not list types (before 3.8).
func suspects(names []string, found map[string]lag.GroupObs, known map[string]listed) []string {
	var dead []string
	for _, name := range names {
		_, isListed := known[name]
		if obs := found[name]; obs.Type == "" && obs.State == lag.StateDead && (isListed || len(obs.Commits.V) > 0) {
			dead = append(dead, name)
		}
	}
	return dead
}
