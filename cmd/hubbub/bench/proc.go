package bench

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used so far.
type usage struct {
	CPU time.Duration
	RSS int64 // bytes
}

// clockTick is the unit of /proc's CPU times. The kernel's interface to programs fixes it at 100 a second.
const clockTick = time.Second / 100

// processUsage reads /proc.
func processUsage(pid int) (usage, error) {
	folder := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return usage{}, err
	}
	// The name of the program is in brackets and may hold anything; utime and stime are the 12th and 13th field behind it.
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return usage{}, errors.New(folder + "/stat has too few fields")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	statm, err3 := os.ReadFile(folder + "/statm")
	pages := strings.Fields(string(statm))
	if err := errors.Join(err1, err2, err3); err != nil || len(pages) < 2 {
		return usage{}, errors.Join(err, errors.New(folder+" cannot be read"))
	}
	resident, err := strconv.ParseInt(pages[1], 10, 64)
	return usage{CPU: time.Duration(user+system) * clockTick, RSS: resident * int64(os.Getpagesize())}, err
}

// Machine is where a report was made.
type Machine struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	Model  string `json:"model,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	Go     string `json:"go"`
}

func thisMachine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.Model = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	return m
}
