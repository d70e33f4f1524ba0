package hubbub_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// TestGoInDocs compiles all Go that stands in documents: blocks, and code in the columns of tables that are headed Go.
// Snippets that are statements may use what the function around them is given, see snippet.function; what else a document
// needs stands in it as a comment that begins with "<!-- go".
func TestGoInDocs(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	overlay, replace := t.TempDir(), map[string]string{}
	var packages []string
	snippets := 0
	for _, document := range append(documents, "README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		blocks, common := goOf(document, string(text))
		snippets += len(blocks)
		name := "docs_" + strings.TrimSuffix(filepath.Base(document), ".md")
		statements := common.file(name)
		for i, block := range blocks {
			folder, source := fmt.Sprintf("%s_%d", name, block.line), ""
			if block.declares() {
				source = block.file(name) + common.declarations()
			} else {
				statements += block.function(t, i)
				continue
			}
			packages = append(packages, place(t, overlay, replace, folder, source))
		}
		if len(blocks) > 0 {
			packages = append(packages, place(t, overlay, replace, name, statements))
		}
	}
	if snippets < 2 {
		t.Fatalf("%d snippets of Go in documents, want more", snippets)
	}
	file := filepath.Join(overlay, "overlay.json")
	mapping, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, mapping, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"build", "-o", os.DevNull, "-overlay", file}, packages)...)
	if output, err := build.CombinedOutput(); err != nil {
		t.Errorf("documents have Go that does not compile (%v):\n%s", err, output)
	}
}

// place puts a package of one file into the overlay and returns its path.
func place(t *testing.T, overlay string, replace map[string]string, folder, source string) string {
	t.Helper()
	source = withImports(source)
	on := filepath.Join(overlay, folder+".go")
	if err := os.WriteFile(on, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	where, err := filepath.Abs(filepath.Join("examples", folder, "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	replace[where] = on
	return "./examples/" + folder
}

// snippet is Go in a document.
type snippet struct {
	document string
	line     int // where it begins, from 1
	text     string
}

var topLevel = regexp.MustCompile(`(?m)^(func [A-Za-z(]|type |import )`)

// declares reports whether the snippet is declarations, as opposed to statements.
func (s snippet) declares() bool { return topLevel.MatchString(s.text) }

// position makes the compiler name the line of the document.
func (s snippet) position() string { return fmt.Sprintf("//line %s:%d\n", s.document, s.line) }

func (s snippet) file(name string) string {
	return "// Package " + name + " is a document.\npackage " + strings.ReplaceAll(name, "-", "_") + "\n" + s.position() + s.text + "\n"
}

func (s snippet) declarations() string { return s.position() + s.text + "\n" }

// function is a function of the statements, which uses all variables that they declare.
func (s snippet) function(t *testing.T, number int) string {
	t.Helper()
	const given = "ctx context.Context, chat *hubbub.Hub, caller *hubbub.Caller, client *signalr.Client, mux *http.ServeMux, " +
		"id, user, text string, ids, names []string, numbers hubbub.Seq[int]"
	syntax, err := parser.ParseFile(token.NewFileSet(), s.document, "package p\nfunc _() {\n"+s.text+"\n}", parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s:%d: %v", s.document, s.line, err)
		return ""
	}
	use := ""
	for _, statement := range syntax.Decls[0].(*ast.FuncDecl).Body.List {
		if assign, ok := statement.(*ast.AssignStmt); ok && assign.Tok == token.DEFINE {
			for _, variable := range assign.Lhs {
				if name := variable.(*ast.Ident).Name; name != "_" {
					use += "_ = " + name + "\n"
				}
			}
		}
	}
	return fmt.Sprintf("func _(%s) {\n{\n%s%s\n%s}\n}\n", given, s.position(), s.text, use)
}

var (
	codeSpan = regexp.MustCompile("`[^`]+`")
	cellEdge = regexp.MustCompile(`\s*\|\s*`)
)

// goOf returns the Go of a document, and what it says in comments for all of it.
func goOf(document, text string) (blocks []snippet, common snippet) {
	common = snippet{document: document, line: 1}
	var block *snippet
	inComment, column := false, -1
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		cells := cellEdge.Split(strings.Trim(line, "| "), -1)
		switch {
		case line == "```go":
			block = &snippet{document: document, line: number + 1}
		case block != nil && line == "```":
			blocks, block = append(blocks, *block), nil
		case block != nil:
			block.text += line + "\n"
		case line == "<!-- go":
			inComment, common.line = true, number+1
		case inComment && line == "-->":
			inComment = false
		case inComment:
			common.text += line + "\n"
		case !strings.HasPrefix(line, "|"):
			column = -1
		case column < 0:
			column = slices.Index(cells, "Go")
			if column < 0 {
				column = math.MaxInt // a table without Go
			}
		case column < len(cells):
			for _, code := range codeSpan.FindAllString(cells[column], -1) {
				blocks = append(blocks, snippet{document, number, asStatement(strings.Trim(code, "`"))})
			}
		}
	}
	return blocks, common
}

// asStatement makes a statement of an expression that is none.
func asStatement(code string) string {
	expression, err := parser.ParseExpr(code)
	if err != nil {
		return code
	}
	if _, call := expression.(*ast.CallExpr); call {
		return code
	}
	return "_ = " + code
}

// inDocs are the packages that snippets need not import.
var inDocs = map[string]string{
	"bufio": "bufio", "bytes": "bytes", "context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "httptest": "net/http/httptest",
	"io": "io", "log": "log", "os": "os", "signal": "os/signal", "slices": "slices", "slog": "log/slog", "strings": "strings", "sync": "sync",
	"testing": "testing", "synctest": "testing/synctest", "time": "time", "url": "net/url",
	"hubbub": modulePath, "signalr": modulePath + "/signalr", "classic": modulePath + "/classic", "auth": modulePath + "/auth", "hubtest": modulePath + "/hubtest",
	"gateway": modulePath + "/systems/gateway", "relay": modulePath + "/systems/relay", "dial": modulePath + "/systems/dial",
	"economy": modulePath + "/systems/economy", "bus": modulePath + "/systems/bus", "store": modulePath + "/systems/store",
	"otel": "go.opentelemetry.io/otel", "trace": "go.opentelemetry.io/otel/trace",
}

// withImports adds the imports of a file without any.
func withImports(source string) string {
	syntax, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		return source // the compiler will say it
	}
	used := map[string]bool{}
	ast.Inspect(syntax, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if of, ok := selector.X.(*ast.Ident); ok && inDocs[of.Name] != "" {
				used[of.Name] = true
			}
		}
		return true
	})
	imports := ""
	for name := range used {
		imports += fmt.Sprintf("import %q; ", inDocs[name])
	}
	before, after, _ := strings.Cut(source, "\npackage ")
	name, rest, _ := strings.Cut(after, "\n")
	return before + "\npackage " + name + "; " + imports + "\n" + rest
}

// TestReadmeIsAnExample keeps the program of the README one that is tested.
func TestReadmeIsAnExample(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, found := strings.Cut(string(readme), "```go\nfunc main() {")
	program, _, closed := strings.Cut(program, "```")
	if !found || !closed {
		t.Fatal("README.md has no Go program")
	}
	if !strings.Contains(string(examples), "func Example_hello() {"+program) {
		t.Errorf("the program of README.md is not the one of Example_hello:\n%s", program)
	}
}

// TestEveryOptionIsInTheGuide keeps the tables of docs/porting-from-dotnet.md complete.
func TestEveryOptionIsInTheGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("docs/porting-from-dotnet.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, options := range []any{hubbub.Options{}, signalr.Options{}, hubbub.ClientOptions{}, signalr.ClientOptions{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(options)) {
			if !field.Anonymous && !strings.Contains(string(guide), "`"+field.Name+"`") {
				t.Errorf("%T.%s is not in the guide", options, field.Name)
			}
		}
	}
}
