//go:build !linux

package bench

import "os/exec"

// ownCPU is not known here.
func ownCPU() float64 { return 0 }

// startBeside starts cmd. Processors cannot be chosen here.
func startBeside(cmd *exec.Cmd, _ int) error { return cmd.Start() }
