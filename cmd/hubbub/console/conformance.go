package console

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// check is one thing that a server must do.
type check struct {
	name string
	run  func(p *probe) error
	// better is for what is done better here than by ASP.NET Core, on purpose. It counts with --strict only.
	better bool
}

// suite is the whole of it, in order.
func suite() []check {
	return slices.Concat(negotiateChecks(), statusChecks(), transportChecks(), handshakeChecks(), sentenceChecks(), messageChecks(),
		streamChecks(), resultChecks(), clientChecks(), audienceChecks(), statefulChecks())
}

func (c *Console) conformanceCommand() *cobra.Command {
	var strict, list bool
	var only string
	cmd := c.command("conformance URL", "Check a server that mounts the conformance hubs, rule by rule",
		`Check a server against the protocol, from outside: raw requests and the client of this program. The server must mount the hubs of
conformance/server (/testhub and so on) below URL. One line a check, a figure at the end. What ASP.NET Core itself does not do, and
this project does on purpose, is marked "better" and counts with --strict only.`,
		"  hubbub conformance http://127.0.0.1:5000\n  hubbub conformance http://127.0.0.1:5000 --only '^handshake' --strict",
		cobra.ExactArgs(1), func(s *session, _ []string) error {
			match, err := regexp.Compile(only)
			if err != nil {
				return usageError{fmt.Errorf("--only: %w", err)}
			}
			checks := slices.DeleteFunc(suite(), func(c check) bool { return !match.MatchString(c.name) })
			if list {
				for _, c := range checks {
					s.print.say(struct {
						Event  string `json:"event"`
						Check  string `json:"check"`
						Better bool   `json:"better"`
					}{"check", c.name, c.better}, c.name)
				}
				return nil
			}
			return s.conform(checks, strict)
		})
	cmd.Flags().StringVar(&only, "only", "", "checks whose name matches this `regexp`")
	cmd.Flags().BoolVar(&strict, "strict", false, "what is better than ASP.NET Core must be there too")
	cmd.Flags().BoolVar(&list, "list", false, "print the names of the checks and do nothing")
	return cmd
}

func (s *session) conform(checks []check, strict bool) error {
	if ctx, cancel := s.limited(); true {
		_, err := s.ask(ctx, s.http, s.url.JoinPath("/testhub"), "", false)
		cancel()
		if err != nil {
			return cause(ctx, err) // without that nothing would pass
		}
	}
	passed, failed, lenient := 0, 0, 0
	for _, c := range checks {
		if s.ctx.Err() != nil {
			return cause(s.ctx, s.ctx.Err())
		}
		began := time.Now()
		err := s.try(c)
		state, colour, text := "ok", green, ""
		switch {
		case err == nil:
			passed++
		case c.better && !strict:
			state, colour, text = "better", yellow, "not there, which is allowed: "+err.Error()
			lenient++
		default:
			state, colour, text = "failed", red, err.Error()
			failed++
		}
		line := fmt.Sprintf("%s %s", s.print.paint(colour, fmt.Sprintf("%-7s", state)), c.name)
		if text != "" {
			line += fmt.Sprintf("\n%8s%s", "", text)
		}
		s.print.say(struct {
			Event        string  `json:"event"`
			Check        string  `json:"check"`
			State        string  `json:"state"`
			Better       bool    `json:"better,omitempty"`
			Error        string  `json:"error,omitempty"`
			Milliseconds float64 `json:"milliseconds"`
		}{"check", c.name, state, c.better, errorText(err), milliseconds(time.Since(began).Seconds())}, line)
	}
	figure := fmt.Sprintf("%d of %d passed", passed, len(checks))
	if lenient > 0 {
		figure += fmt.Sprintf(", %d do as ASP.NET Core does where this project does better", lenient)
	}
	s.print.say(struct {
		Event  string `json:"event"`
		Checks int    `json:"checks"`
		Passed int    `json:"passed"`
		Failed int    `json:"failed"`
		Better int    `json:"better"`
	}{"summary", len(checks), passed, failed, lenient}, figure)
	if failed > 0 {
		return &Failure{CodeProblems, fmt.Errorf("%s of %d failed at %s", plural(failed, "check"), len(checks), s.url)}
	}
	return nil
}

// try runs one check, for 20 s at most.
func (s *session) try(c check) (err error) {
	ctx, cancel := context.WithTimeoutCause(s.ctx, 20*time.Second, errTimeout)
	defer cancel()
	p := &probe{session: s, ctx: ctx, http: s.newHTTP()}
	defer p.end()
	return cause(ctx, c.run(p))
}
