package hubbub

import (
	"context"
	"reflect"
)

// Method is a function that clients can call. [Action0] to [Action4], [Func0] to [Func4], [Raw] and [RawStream] make one.
type Method interface {
	signature() signature
	bind(in *Invocation, uploads []*upload) (bound, error)
}

// signature is what the dispatcher and the documentation know of a method.
type signature struct {
	args    int // arguments on the wire, -1 for any number
	uploads int // streams that the caller sends
	streams bool
	params  []reflect.Type
	result  reflect.Type
}

// bound is a method with its arguments.
type bound interface {
	call(ctx context.Context) (any, error)
	argument(i int) any
}

// method is a registered Method.
type method struct {
	Method
	name  string
	sig   signature
	rules []Rule
}

// none stands for a parameter or result that is not there.
type none struct{}

// params are the arguments of a call to a function of up to four parameters, on their way to f.
type params[A, B, C, D any] struct {
	f func(context.Context, *params[A, B, C, D]) (any, error)
	a A
	b B
	c C
	d D
}

func (p *params[A, B, C, D]) call(ctx context.Context) (any, error) { return p.f(ctx, p) }

func (p *params[A, B, C, D]) argument(i int) any {
	switch i {
	case 0:
		return &p.a
	case 1:
		return &p.b
	case 2:
		return &p.c
	default:
		return &p.d
	}
}

// adapter is a Method around a function of up to four parameters.
type adapter[A, B, C, D any] struct {
	f   func(context.Context, *params[A, B, C, D]) (any, error)
	sig signature
}

func (m *adapter[A, B, C, D]) signature() signature { return m.sig }

func (m *adapter[A, B, C, D]) bind(in *Invocation, uploads []*upload) (bound, error) {
	p := &params[A, B, C, D]{f: m.f}
	b := binder{in: in, uploads: uploads}
	n := len(m.sig.params)
	if n > 0 {
		b.param(&p.a)
	}
	if n > 1 {
		b.param(&p.b)
	}
	if n > 2 {
		b.param(&p.c)
	}
	if n > 3 {
		b.param(&p.d)
	}
	return p, b.err
}

// binder hands arguments and streams to parameters, left to right.
type binder struct {
	in      *Invocation
	uploads []*upload
	arg     int
	err     error
}

func (b *binder) param(p any) {
	if b.err != nil {
		return
	}
	if s, ok := p.(seqParam); ok {
		s.receive(b.uploads[0])
		b.uploads = b.uploads[1:]
		return
	}
	b.err = b.in.Args.Decode(b.arg, p)
	b.arg++
}

func adapt[A, B, C, D, R any](n int, f func(context.Context, *params[A, B, C, D]) (any, error)) Method {
	m := &adapter[A, B, C, D]{f: f}
	all := [4]reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B](), reflect.TypeFor[C](), reflect.TypeFor[D]()}
	m.sig.params = all[:n]
	for _, t := range m.sig.params {
		if t.Implements(reflect.TypeFor[seqResult]()) {
			m.sig.uploads++
		} else {
			m.sig.args++
		}
	}
	if r := reflect.TypeFor[R](); r != reflect.TypeFor[none]() {
		m.sig.result = r
		m.sig.streams = r.Implements(reflect.TypeFor[seqResult]())
	}
	return m
}

// Action0 makes a [Method] of a function without arguments and without a result.
func Action0(f func(context.Context) error) Method {
	return adapt[none, none, none, none, none](0, func(ctx context.Context, _ *params[none, none, none, none]) (any, error) {
		return nil, f(ctx)
	})
}

// Action1 makes a [Method] of a function with one argument and no result. A parameter of type [Seq] is a stream that the
// caller sends.
func Action1[A any](f func(context.Context, A) error) Method {
	return adapt[A, none, none, none, none](1, func(ctx context.Context, p *params[A, none, none, none]) (any, error) {
		return nil, f(ctx, p.a)
	})
}

// Action2 is [Action1] for two arguments.
func Action2[A, B any](f func(context.Context, A, B) error) Method {
	return adapt[A, B, none, none, none](2, func(ctx context.Context, p *params[A, B, none, none]) (any, error) {
		return nil, f(ctx, p.a, p.b)
	})
}

// Action3 is [Action1] for three arguments.
func Action3[A, B, C any](f func(context.Context, A, B, C) error) Method {
	return adapt[A, B, C, none, none](3, func(ctx context.Context, p *params[A, B, C, none]) (any, error) {
		return nil, f(ctx, p.a, p.b, p.c)
	})
}

// Action4 is [Action1] for four arguments.
func Action4[A, B, C, D any](f func(context.Context, A, B, C, D) error) Method {
	return adapt[A, B, C, D, none](4, func(ctx context.Context, p *params[A, B, C, D]) (any, error) {
		return nil, f(ctx, p.a, p.b, p.c, p.d)
	})
}

// Func0 makes a [Method] of a function without arguments that returns a result. A result of type [Seq] is a stream.
func Func0[R any](f func(context.Context) (R, error)) Method {
	return adapt[none, none, none, none, R](0, func(ctx context.Context, _ *params[none, none, none, none]) (any, error) {
		return f(ctx)
	})
}

// Func1 makes a [Method] of a function with one argument that returns a result. A result of type [Seq] is a stream; a
// parameter of type Seq is a stream that the caller sends.
func Func1[A, R any](f func(context.Context, A) (R, error)) Method {
	return adapt[A, none, none, none, R](1, func(ctx context.Context, p *params[A, none, none, none]) (any, error) {
		return f(ctx, p.a)
	})
}

// Func2 is [Func1] for two arguments.
func Func2[A, B, R any](f func(context.Context, A, B) (R, error)) Method {
	return adapt[A, B, none, none, R](2, func(ctx context.Context, p *params[A, B, none, none]) (any, error) {
		return f(ctx, p.a, p.b)
	})
}

// Func3 is [Func1] for three arguments.
func Func3[A, B, C, R any](f func(context.Context, A, B, C) (R, error)) Method {
	return adapt[A, B, C, none, R](3, func(ctx context.Context, p *params[A, B, C, none]) (any, error) {
		return f(ctx, p.a, p.b, p.c)
	})
}

// Func4 is [Func1] for four arguments.
func Func4[A, B, C, D, R any](f func(context.Context, A, B, C, D) (R, error)) Method {
	return adapt[A, B, C, D, R](4, func(ctx context.Context, p *params[A, B, C, D]) (any, error) {
		return f(ctx, p.a, p.b, p.c, p.d)
	})
}

// raw is a Method that decodes its arguments itself.
type raw struct {
	f       func(context.Context, Args) (any, error)
	streams bool
}

// Raw makes a [Method] of a function that takes any number of arguments and decodes them itself.
func Raw(f func(ctx context.Context, args Args) (any, error)) Method { return &raw{f: f} }

// RawStream is [Raw] for a function that returns a stream.
func RawStream(f func(ctx context.Context, args Args) (Seq[any], error)) Method {
	return &raw{streams: true, f: func(ctx context.Context, args Args) (any, error) { return f(ctx, args) }}
}

func (m *raw) signature() signature { return signature{args: -1, streams: m.streams} }

func (m *raw) bind(in *Invocation, _ []*upload) (bound, error) { return &rawCall{m.f, in.Args}, nil }

type rawCall struct {
	f    func(context.Context, Args) (any, error)
	args Args
}

func (c *rawCall) call(ctx context.Context) (any, error) { return c.f(ctx, c.args) }
func (c *rawCall) argument(int) any                      { return &c.args }
