package console

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
)

// pingTarget is a method that no hub has: every server answers a call of it at once, with an error.
const pingTarget = "hubbub-ping"

func (c *Console) pingCommand() *cobra.Command {
	var count int
	var wait time.Duration
	var target string
	cmd := c.command("ping URL", "Measure how long connecting and round trips take",
		`Connect and measure: negotiating, connecting with the handshake, and round trips. A round trip is a call of a method that the hub does
not have, which every server answers with an error at once; --target NAME calls one that it has, without arguments.`,
		"  hubbub ping http://localhost:8080/chat\n  hubbub ping https://example.com/hub --count 100 --interval 0 --transport longpolling",
		cobra.ExactArgs(1), func(s *session, _ []string) error {
			return s.ping(count, wait, target)
		})
	cmd.Flags().IntVar(&count, "count", 5, "round trips")
	cmd.Flags().DurationVar(&wait, "interval", 200*time.Millisecond, "time between them")
	cmd.Flags().StringVar(&target, "target", pingTarget, "`method` to call")
	return cmd
}

func (s *session) ping(count int, wait time.Duration, target string) error {
	if count < 1 {
		return usageError{fmt.Errorf("--count is %d, want at least 1", count)}
	}
	step := func(name string, took time.Duration, n int) {
		label := name
		if n > 0 {
			label = fmt.Sprintf("%s %d", name, n)
		}
		s.print.say(struct {
			Event        string  `json:"event"`
			What         string  `json:"what"`
			N            int     `json:"n,omitempty"`
			Milliseconds float64 `json:"milliseconds"`
		}{"ping", name, n, milliseconds(took.Seconds())}, fmt.Sprintf("%s %10s", s.print.paint(cyan, fmt.Sprintf("%-14s", label)), human(took)))
	}
	began := time.Now()
	if !s.flags.skip {
		if err := s.probe(); err != nil {
			return err
		}
		if s.flags.dialect == dialectClassic {
			if _, err := s.classicHubs([]string{target}); err != nil {
				return err
			}
		}
		step("negotiate", time.Since(began), 0)
	}
	began = time.Now()
	client, err := s.dial(wiring{targets: []string{target}})
	if err != nil {
		return err
	}
	defer client.Close()
	step("connect", time.Since(began), 0)
	var took []time.Duration
	for n := range count {
		if n > 0 && !s.pause(wait) {
			return nil
		}
		began := time.Now()
		ctx, cancel := s.limited()
		err := client.Invoke(ctx, nil, target)
		cancel()
		if _, said := errors.AsType[*hubbub.Error](err); err != nil && !(said && target == pingTarget) {
			return cause(ctx, err)
		}
		took = append(took, time.Since(began))
		step("round trip", took[n], n+1)
	}
	slices.Sort(took)
	s.print.note(struct {
		Event   string  `json:"event"`
		Count   int     `json:"count"`
		Least   float64 `json:"least"`
		Median  float64 `json:"median"`
		Most    float64 `json:"most"`
		Over    string  `json:"transport"`
		Address string  `json:"url"`
	}{"summary", count, milliseconds(took[0].Seconds()), milliseconds(took[count/2].Seconds()), milliseconds(took[count-1].Seconds()), s.transport(), s.url.String()},
		fmt.Sprintf("%s over %s: least %s, median %s, most %s", plural(count, "round trip"), s.transport(), human(took[0]), human(took[count/2]), human(took[count-1])))
	return nil
}

// pause waits, and reports whether there was no signal meanwhile.
func (s *session) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
