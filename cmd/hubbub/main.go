// Command hubbub is a SignalR server in one binary, with systems that stand on it. Started with nothing configured,
//
//	hubbub serve
//
// runs everything on this machine: see docs/operating.md for what can be set and what the exit codes mean.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	p := Program{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Stop:    signals,
		Reload:  hangups,
		Kill:    func() { signal.Stop(signals) }, // the next signal ends the process whatever it does
	}
	os.Exit(p.Run())
}
