// Command draw writes the state machine of purchases as a diagram in Mermaid's language.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/hubbub-go/hubbub/systems/economy/trading"
)

func main() {
	out := flag.String("o", "", "file to write; the standard output if empty")
	first := flag.Bool("grant-first", false, "draw the order of the original, which hands items out before they are paid")
	flag.Parse()
	text := trading.Draw(*first)
	if *out == "" {
		fmt.Print(text)
		return
	}
	if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
