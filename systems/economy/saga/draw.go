package saga

import (
	"fmt"
	"strings"
)

// Draw returns the machine as a state diagram in Mermaid's language: each branch an arrow, with its event and what it does.
func (m *Machine[S]) Draw() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for _, from := range append([]State{""}, m.states...) {
		for _, name := range m.order[from] {
			branch := m.branches[from][name]
			label := arrow(name, branch.event.timer > 0)
			if len(branch.label) > 0 {
				label += " / " + strings.Join(branch.label, ", ")
			}
			to := branch.to
			if len(to) == 0 {
				to = []State{from}
			}
			for i, s := range to {
				text := label
				if i > 0 { // of a refusal
					text = arrow(name, false) + ", refused"
				}
				fmt.Fprintf(&b, "    %s --> %s: %s\n", node(from), node(s), text)
			}
		}
	}
	for _, s := range m.states {
		if m.final[s] {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	for _, c := range m.commands {
		if c.undoneBy() != nil {
			fmt.Fprintf(&b, "    %%%% %s is undone by %s\n", c.topic(), c.undoneBy().topic())
		}
	}
	return b.String()
}

// node is a state's name in a diagram.
func node(s State) string {
	if s == "" {
		return "[*]"
	}
	return string(s)
}

func arrow(event string, timer bool) string {
	if timer {
		return "after " + event
	}
	return event
}
