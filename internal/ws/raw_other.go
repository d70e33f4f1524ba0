//go:build !unix

package ws

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns nil: on this platform a descriptor cannot be read and written without
// waiting, so that every connection goes through its net.Conn.
func rawConn(net.Conn) syscall.RawConn { return nil }

// Without a RawConn the two below are out of reach.

func sysRead(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

func sysWrite(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }
