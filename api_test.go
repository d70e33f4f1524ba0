package hubbub_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update", false, "rewrite api.txt from the exported surface of the public packages")

// TestAPI compares api.txt with what the public packages export, so that a change of the API is always a decision.
func TestAPI(t *testing.T) {
	t.Parallel()
	got := exportedSurface(t)
	if *updateAPI {
		if err := os.WriteFile("api.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("api.txt")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	gone, came := difference(string(want), got)
	const most = 40
	if lines := len(gone) + len(came); lines > most {
		t.Errorf("%d lines of api.txt differ from what the packages export", lines)
	} else {
		t.Errorf("api.txt differs from what the packages export:\n%s", strings.Join(slices.Concat(gone, came), "\n"))
	}
	t.Error("if that is meant, run: go test -run TestAPI . -update")
}

// difference returns the lines of one text that the other has not, each way, marked - and +.
func difference(was, is string) (gone, came []string) {
	before, after := strings.Split(was, "\n"), strings.Split(is, "\n")
	for _, line := range before {
		if line != "" && !slices.Contains(after, line) {
			gone = append(gone, "- "+line)
		}
	}
	for _, line := range after {
		if line != "" && !slices.Contains(before, line) {
			came = append(came, "+ "+line)
		}
	}
	return gone, came
}

// exportedSurface describes every exported name of the public packages, one a line.
func exportedSurface(t *testing.T) string {
	t.Helper()
	lines := map[string]bool{}
	for _, file := range sourceFiles(t, parser.SkipObjectResolution) {
		if file.isTest() || !isPublic(file.room()) || file.syntax.Name.Name == "main" {
			continue
		}
		surface := surface{set: file.set, prefix: "pkg " + strings.TrimPrefix(file.folder(), "./")}
		if file.folder() == root {
			surface.prefix = "pkg " + file.syntax.Name.Name
		}
		for _, declaration := range file.syntax.Decls {
			surface.declaration(declaration)
		}
		for _, line := range surface.lines {
			lines[line] = true
		}
	}
	if len(lines) == 0 {
		t.Fatal("the public packages export nothing")
	}
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n") + "\n"
}

// surface gathers the lines of one file.
type surface struct {
	set    *token.FileSet
	prefix string
	lines  []string
}

func (s *surface) add(format string, args ...any) {
	s.lines = append(s.lines, s.prefix+", "+fmt.Sprintf(format, args...))
}

func (s *surface) declaration(declaration ast.Decl) {
	switch declaration := declaration.(type) {
	case *ast.FuncDecl:
		s.function(declaration)
	case *ast.GenDecl:
		var inherited ast.Expr // the type of a constant whose line repeats the one above
		for _, spec := range declaration.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() {
					s.typeSpec(spec)
				}
			case *ast.ValueSpec:
				if spec.Type != nil || len(spec.Values) > 0 {
					inherited = spec.Type
				}
				s.values(declaration.Tok, spec, inherited)
			}
		}
	}
}

func (s *surface) function(function *ast.FuncDecl) {
	receiver := receiverName(function)
	if !function.Name.IsExported() || receiver != "" && !ast.IsExported(receiver) {
		return
	}
	signature := s.parameters(function.Type.TypeParams) + strings.TrimPrefix(s.text(unnamed(function.Type)), "func")
	if receiver == "" {
		s.add("func %s%s", function.Name.Name, signature)
		return
	}
	s.add("method (%s) %s%s", s.text(function.Recv.List[0].Type), function.Name.Name, signature)
}

func (s *surface) typeSpec(spec *ast.TypeSpec) {
	name := spec.Name.Name + s.parameters(spec.TypeParams)
	switch underlying := spec.Type.(type) {
	case *ast.StructType:
		s.add("type %s struct", name)
		for _, field := range underlying.Fields.List {
			s.member(spec.Name.Name, "struct", field)
		}
	case *ast.InterfaceType:
		s.add("type %s interface", name)
		for _, method := range underlying.Methods.List {
			s.member(spec.Name.Name, "interface", method)
		}
	default:
		equals := ""
		if spec.Assign.IsValid() {
			equals = "= "
		}
		s.add("type %s %s%s", name, equals, s.text(unnamed(spec.Type)))
	}
}

// member describes a field of a struct or a method of an interface. That an interface has unexported methods matters
// to those who would implement it; their names do not.
func (s *surface) member(owner, kind string, member *ast.Field) {
	text := s.text(unnamed(member.Type))
	tag := ""
	if member.Tag != nil {
		tag = " " + member.Tag.Value
	}
	if len(member.Names) == 0 {
		s.add("type %s %s, embedded %s%s", owner, kind, text, tag)
	}
	for _, name := range member.Names {
		switch {
		case name.IsExported() && kind == "interface":
			s.add("type %s %s, %s%s", owner, kind, name.Name, strings.TrimPrefix(text, "func"))
		case name.IsExported():
			s.add("type %s %s, %s %s%s", owner, kind, name.Name, text, tag)
		case kind == "interface":
			s.add("type %s %s, unexported methods", owner, kind)
		}
	}
}

func (s *surface) values(kind token.Token, spec *ast.ValueSpec, inherited ast.Expr) {
	for i, name := range spec.Names {
		if !name.IsExported() {
			continue
		}
		line := kind.String() + " " + name.Name
		switch {
		case inherited != nil:
			line += " " + s.text(inherited)
		case kind == token.CONST && i < len(spec.Values):
			line += " = " + s.text(spec.Values[i])
		}
		s.add("%s", line)
	}
}

// parameters describes type parameters, "" when there are none.
func (s *surface) parameters(list *ast.FieldList) string {
	if list == nil {
		return ""
	}
	var all []string
	for _, field := range list.List {
		for _, name := range field.Names {
			all = append(all, name.Name+" "+s.text(field.Type))
		}
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// text prints an expression on one line.
func (s *surface) text(expression ast.Node) string {
	var buffer bytes.Buffer
	if err := printer.Fprint(&buffer, s.set, expression); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(buffer.String()), " ")
}

// unnamed leaves the names of parameters and results out of a function type: they are no part of the API.
func unnamed(expression ast.Expr) ast.Expr {
	function, ok := expression.(*ast.FuncType)
	if !ok {
		return expression
	}
	return &ast.FuncType{Params: unnamedList(function.Params), Results: unnamedList(function.Results)}
}

func unnamedList(list *ast.FieldList) *ast.FieldList {
	if list == nil {
		return nil
	}
	all := &ast.FieldList{}
	for _, field := range list.List {
		for range max(1, len(field.Names)) {
			all.List = append(all.List, &ast.Field{Type: unnamed(field.Type)})
		}
	}
	return all
}

func TestSurfaceOfAFile(t *testing.T) {
	t.Parallel()
	const source = `package p
const ( A Kind = iota; B; c )
const Limit = 32 << 10
var ErrClosed = errors.New("closed")
type Kind int
type Alias = Kind
type Number interface { ~int | ~float64 }
type Seq[T any] iter.Seq2[T, error]
type Handler func(ctx context.Context, a, b string) (n int, err error)
type Options struct { Path, Name string; Each func(id string) error ` + "`json:\"each\"`" + `; hidden int; *Embedded }
type Conn interface { ID() string; Close(reason error) error; private() }
type small struct{ Field int }
func New(name string, options *Options) *Conn { return nil }
func Call[T, U any](ctx context.Context, args ...any) (result T, _ error) { return }
func (o *Options) Check(
	a int,
) (err error) { return nil }
func (s small) Exported() {}
func (l *List[T]) Push(item T) {}
func internal() {}
`
	const want = `pkg p, const A Kind
pkg p, const B Kind
pkg p, const Limit = 32 << 10
pkg p, func Call[T any, U any](context.Context, ...any) (T, error)
pkg p, func New(string, *Options) *Conn
pkg p, method (*List[T]) Push(T)
pkg p, method (*Options) Check(int) error
pkg p, type Alias = Kind
pkg p, type Conn interface
pkg p, type Conn interface, Close(error) error
pkg p, type Conn interface, ID() string
pkg p, type Conn interface, unexported methods
pkg p, type Handler func(context.Context, string, string) (int, error)
pkg p, type Kind int
pkg p, type Number interface
pkg p, type Number interface, embedded ~int | ~float64
pkg p, type Options struct
pkg p, type Options struct, Each func(string) error ` + "`json:\"each\"`" + `
pkg p, type Options struct, Name string
pkg p, type Options struct, Path string
pkg p, type Options struct, embedded *Embedded
pkg p, type Seq[T any] iter.Seq2[T, error]
pkg p, var ErrClosed`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	surface := surface{set: set, prefix: "pkg p"}
	for _, declaration := range file.Decls {
		surface.declaration(declaration)
	}
	slices.Sort(surface.lines)
	if got := strings.Join(surface.lines, "\n"); got != want {
		gone, came := difference(want, got)
		t.Errorf("the surface differs:\n%s", strings.Join(slices.Concat(gone, came), "\n"))
	}
}
