package bench

import (
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// ownCPU is the CPU time of this process in seconds.
func ownCPU() float64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return (time.Duration(r.Utime.Nano()) + time.Duration(r.Stime.Nano())).Seconds()
}

// startBeside starts cmd on the processors that process pid may use, so that the two can be compared. A pid of 0 changes nothing.
func startBeside(cmd *exec.Cmd, pid int) error {
	if pid == 0 {
		return cmd.Start()
	}
	var theirs, ours unix.CPUSet
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.SchedGetaffinity(pid, &theirs) != nil || unix.SchedGetaffinity(0, &ours) != nil || unix.SchedSetaffinity(0, &theirs) != nil {
		return cmd.Start()
	}
	defer func() { _ = unix.SchedSetaffinity(0, &ours) }() // it was ours before
	return cmd.Start()
}
