package hubbub_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// The rules of the house: who may import whom, how large things may grow, and that every exported name is explained.
// A change of the rules is a change of this file.

const modulePath = "github.com/hubbub-go/hubbub"

const root = "." // the room of the root package

// Rooms are folders with everything below them; a star stands for one folder each.
var rooms = []string{
	root, "signalr", "classic", "auth", "hubtest", "admin",
	"backplane/*", "systems/*", "cmd/*", "conformance/*", "examples/*", "internal/*",
}

// publicRooms hold the packages that other modules build on: api.txt lists what they export.
var publicRooms = []string{root, "signalr", "classic", "auth", "hubtest", "backplane/*"}

func isPublic(room string) bool {
	return slices.ContainsFunc(publicRooms, func(pattern string) bool { return matchRoom(pattern, room) })
}

// mayImport lists, by room, the rooms of the module that production code may import. Its own room is always allowed.
var mayImport = map[string][]string{
	root:                 {},
	"internal/*":         {},
	"internal/jsonvalue": {root},
	"signalr":            {root, "internal/jsonvalue", "internal/sse", "internal/ws"},
	"classic":            {root, "internal/jsonvalue", "internal/sse", "internal/ws"},
	"auth":               {root},
	"backplane/*":        {root},
	"hubtest":            {root, "signalr"},
	"admin":              {root, "signalr"},
	"systems/store":      {},
	"systems/bus":        {"systems/store"}, // its outbox and inbox are rows
	"systems/dial":       {root, "signalr", "classic"},
	"systems/*":          {root, "auth", "signalr", "classic", "internal/pageclient", "systems/store", "systems/bus", "systems/dial"},
	"cmd/*":              {root, "auth", "signalr", "classic", "admin", "backplane/redis", "backplane/nats", "internal/pageclient", "systems/*"},
	"conformance/*":      {root, "auth", "signalr", "classic", "hubtest", "backplane/*"},
	"examples/*":         {root, "auth", "signalr", "classic", "hubtest", "backplane/*"},
	"examples/gateway":   {root, "signalr", "systems/gateway"},
	"examples/relay":     {"systems/relay", "systems/store"},
	"examples/saga":      {"systems/bus", "systems/economy", "systems/store"},
}

// testsMayImport lists what tests may import beyond that, by room; the star is for every room.
var testsMayImport = map[string][]string{
	"*":       {"hubtest", "backplane/backplanetest", "internal/assert", "internal/rawclient"},
	root:      {"signalr", "classic", "auth"},
	"auth":    {"signalr"},
	"classic": {"signalr"}, // one hub on both
}

// mayDependOn lists the only libraries beside the standard one that production code of some rooms may import.
var mayDependOn = map[string][]string{
	root:      {},
	"signalr": {"github.com/tinylib/msgp", "github.com/vmihailenco/msgpack/v5", "github.com/coder/websocket"},
	"classic": {"github.com/tinylib/msgp", "github.com/vmihailenco/msgpack/v5", "github.com/coder/websocket"},
	"auth":    {"github.com/golang-jwt/jwt/v5", "github.com/rs/cors"},
}

const (
	maximumLines         = 500 // of a file that is not a test
	longFunction         = 60  // lines
	maximumLongFunctions = 3   // per cent
)

func TestImports(t *testing.T) {
	t.Parallel()
	for _, file := range sourceFiles(t, parser.ImportsOnly) {
		from := file.room()
		if from == "" {
			t.Errorf("%s: the folder %s is no room of the house: add it to the rules or move the file", file.name, file.folder())
			continue
		}
		for _, spec := range file.syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if complaint := judgeImport(file, from, imported); complaint != "" {
				t.Errorf("%s: %s", file.name, complaint)
			}
		}
	}
}

// judgeImport says what is wrong with an import, or nothing.
func judgeImport(file sourceFile, from, imported string) string {
	inside, own := strings.CutPrefix(imported+"/", modulePath+"/")
	if !own {
		libraries, limited := mayDependOn[from]
		first, _, _ := strings.Cut(imported, "/")
		if !limited || file.isTest() || !strings.Contains(first, ".") || slices.ContainsFunc(libraries, func(library string) bool {
			return imported == library || strings.HasPrefix(imported, library+"/")
		}) {
			return ""
		}
		return fmt.Sprintf("imports %s, want only the standard library and %q in %s", imported, libraries, from)
	}
	to := roomOf(strings.TrimSuffix(inside, "/"))
	allowed := rulesFor(mayImport, from)
	if file.isTest() {
		allowed = slices.Concat(allowed, testsMayImport["*"], rulesFor(testsMayImport, from))
	}
	if to == from || slices.ContainsFunc(allowed, func(pattern string) bool { return matchRoom(pattern, to) }) {
		return ""
	}
	return fmt.Sprintf("%s imports %s, want only %q", from, to, allowed)
}

// rulesFor looks a room up by its own name, then by the pattern it falls under.
func rulesFor(rules map[string][]string, room string) []string {
	if own, found := rules[room]; found {
		return own
	}
	return rules[path.Dir(room)+"/*"]
}

func matchRoom(pattern, room string) bool {
	matched, err := path.Match(pattern, room)
	return err == nil && matched
}

// roomOf returns the room that a folder of the module belongs to, or "" when there is none.
func roomOf(folder string) string {
	if folder == "" || folder == root {
		return root
	}
	elements := strings.Split(folder, "/")
	for _, pattern := range rooms {
		depth := strings.Count(pattern, "/") + 1
		if len(elements) < depth {
			continue
		}
		if room := strings.Join(elements[:depth], "/"); matchRoom(pattern, room) {
			return room
		}
	}
	return ""
}

func TestRulesOfImports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, imported string
		allowed        bool
	}{
		{"hub.go", "net/http", true},
		{"hub.go", "github.com/spf13/cobra", false},
		{"hub.go", modulePath + "/signalr", false},
		{"hub_test.go", modulePath + "/signalr", true},
		{"signalr/sse.go", modulePath, true},
		{"signalr/sse.go", modulePath + "/internal/sse", true},
		{"signalr/sse.go", modulePath + "/internal/rawclient", false},
		{"internal/jsonvalue/codec.go", modulePath, true},
		{"internal/jsonvalue/codec.go", modulePath + "/signalr", false},
		{"internal/ws/conn.go", modulePath, false},
		{"signalr/sse_test.go", modulePath + "/internal/rawclient", true},
		{"signalr/sse.go", modulePath + "/classic", false},
		{"signalr/sse_test.go", modulePath + "/classic", false},
		{"signalr/msgpack.go", "github.com/tinylib/msgp/msgp", true},
		{"signalr/msgpack.go", "github.com/tinylib/msgpower", false},
		{"systems/relay/relay.go", modulePath + "/systems/store", true},
		{"systems/relay/relay_test.go", modulePath + "/systems/store/storetest", true},
		{"systems/relay/relay.go", modulePath + "/systems/notify", false},
		{"systems/relay/relay.go", modulePath + "/internal/ws", false},
		{"systems/store/store.go", modulePath + "/systems/relay", false},
		{"cmd/hubbub/main.go", modulePath + "/systems/relay", true},
		{"cmd/hubbub/main.go", modulePath + "/cmd/hubbub/settings", true},
		{"signalr/sse.go", modulePath + "/cmd/hubbub/settings", false},
		{"examples/hello/main.go", modulePath + "/systems/relay", false},
		{"examples/hello/main.go", modulePath + "/signalr", true},
		{"examples/gateway/main.go", modulePath + "/systems/gateway", true},
		{"backplane/nats/nats.go", modulePath + "/backplane/redis", false},
		{"backplane/nats/nats_test.go", modulePath + "/backplane/backplanetest", true},
	} {
		file := sourceFile{name: tt.file}
		if complaint := judgeImport(file, file.room(), tt.imported); (complaint == "") != tt.allowed {
			t.Errorf("%s imports %s: complaint %q, want allowed = %v", tt.file, tt.imported, complaint, tt.allowed)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	var functions int
	var long []string
	for _, file := range sourceFiles(t, parser.SkipObjectResolution) {
		if file.isTest() {
			continue
		}
		if lines := file.set.File(file.syntax.Pos()).LineCount(); lines > maximumLines {
			t.Errorf("%s has %d lines, want at most %d", file.name, lines, maximumLines)
		}
		for _, declaration := range file.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			functions++
			lines := file.set.Position(function.End()).Line - file.set.Position(function.Pos()).Line + 1
			if lines > longFunction {
				long = append(long, fmt.Sprintf("%s: %s has %d lines", file.name, function.Name.Name, lines))
			}
		}
	}
	if len(long)*100 > functions*maximumLongFunctions {
		t.Errorf("%d of %d functions have over %d lines, want at most %d%%:\n%s",
			len(long), functions, longFunction, maximumLongFunctions, strings.Join(long, "\n"))
	}
}

func TestPackageNames(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Name}} {{.ImportPath}}", "std").Output()
	if err != nil {
		t.Fatalf("go list std: %v", err)
	}
	standard := map[string]string{}
	for line := range strings.Lines(string(output)) {
		name, importPath, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains("/"+importPath+"/", "/internal/") && !strings.HasPrefix(importPath, "vendor/") {
			standard[name] = importPath
		}
	}
	if standard["http"] != "net/http" {
		t.Fatalf("go list std names no net/http in\n%s", output)
	}
	for _, file := range sourceFiles(t, parser.PackageClauseOnly) {
		name := file.syntax.Name.Name
		if shadowed, found := standard[name]; found && name != "main" {
			t.Errorf("%s: package %s has the name of the standard library's %s", file.name, name, shadowed)
		}
		for _, empty := range []string{"common", "util", "utils", "helper", "helpers", "shared", "types", "base"} {
			if name == empty {
				t.Errorf("%s: package %s has a name that says nothing", file.name, name)
			}
		}
	}
}

func TestComments(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, file := range sourceFiles(t, parser.ParseComments|parser.SkipObjectResolution) {
		if file.isTest() {
			continue
		}
		documented[file.folder()] = documented[file.folder()] || file.syntax.Doc != nil
		if strings.HasPrefix(file.folder()+"/", "internal/") {
			continue
		}
		for _, bare := range withoutComment(file.set, file.syntax, isPublic(file.room())) {
			t.Errorf("%s: %s has no comment", file.set.Position(bare.pos), bare.name)
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s: the package has no comment", folder)
		}
	}
}

type bareName struct {
	name string
	pos  token.Pos
}

// withoutComment returns the exported names of a file that no comment explains: functions, methods of exported types,
// types, constants and variables, and in a public package the fields of structs and the methods of interfaces too.
// A group's comment explains its constants and variables.
func withoutComment(set *token.FileSet, file *ast.File, public bool) (bare []bareName) {
	add := func(name string, pos token.Pos) { bare = append(bare, bareName{name, pos}) }
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			receiver := receiverName(declaration)
			if declaration.Doc == nil && declaration.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) {
				add(strings.TrimPrefix(receiver+"."+declaration.Name.Name, "."), declaration.Pos())
			}
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if !spec.Name.IsExported() {
						continue
					}
					if spec.Doc == nil && (declaration.Doc == nil || len(declaration.Specs) > 1) {
						add(spec.Name.Name, spec.Pos())
					}
					if public {
						comment := spec.Doc.Text() + declaration.Doc.Text()
						for _, name := range bareMembers(set, spec.Type, comment) {
							add(spec.Name.Name+"."+name.Name, name.Pos())
						}
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if name.IsExported() && spec.Doc == nil && spec.Comment == nil && declaration.Doc == nil {
							add(name.Name, name.Pos())
						}
					}
				}
			}
		}
	}
	return bare
}

// bareMembers returns the exported members of a type that neither a comment of their own, nor that of the member right
// above, nor the type's comment explains. The comment of a type explains its only member, and those that it names.
func bareMembers(set *token.FileSet, expression ast.Expr, comment string) (bare []*ast.Ident) {
	members := membersOf(expression)
	if comment != "" && len(members) == 1 {
		return nil
	}
	explained, below := false, 0 // the member above, and the line after it
	for _, member := range members {
		adjacent := set.Position(member.Pos()).Line == below
		explained = member.Doc != nil || member.Comment != nil || explained && adjacent
		below = set.Position(member.End()).Line + 1
		for _, name := range member.Names {
			if name.IsExported() && !explained && !slices.Contains(words(comment), name.Name) {
				bare = append(bare, name)
			}
		}
	}
	return bare
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// membersOf returns the fields of a struct type, the methods of an interface type, or nothing.
func membersOf(expression ast.Expr) []*ast.Field {
	switch expression := expression.(type) {
	case *ast.StructType:
		return expression.Fields.List
	case *ast.InterfaceType:
		return expression.Methods.List
	}
	return nil
}

// receiverName returns the name of the type that a method belongs to, "" for a function.
func receiverName(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return ""
	}
	expression := function.Recv.List[0].Type
	for {
		switch inner := expression.(type) {
		case *ast.StarExpr:
			expression = inner.X
		case *ast.IndexExpr:
			expression = inner.X
		case *ast.IndexListExpr:
			expression = inner.X
		case *ast.Ident:
			return inner.Name
		default:
			return ""
		}
	}
}

// sourceFile is one Go file of the module; its name has slashes and is relative to the root.
type sourceFile struct {
	name   string
	set    *token.FileSet
	syntax *ast.File
}

func (f sourceFile) folder() string { return path.Dir(f.name) }
func (f sourceFile) room() string   { return roomOf(f.folder()) }
func (f sourceFile) isTest() bool   { return strings.HasSuffix(f.name, "_test.go") }

// sourceFiles parses every Go file of the module.
func sourceFiles(t *testing.T, mode parser.Mode) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && !holdsSource(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, name, nil, mode)
		if err != nil {
			return err
		}
		files = append(files, sourceFile{filepath.ToSlash(name), set, syntax})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file found")
	}
	return files
}

// holdsSource reports whether a folder may hold packages of the module.
func holdsSource(folder string) bool {
	base := filepath.Base(folder)
	if base == "node_modules" || base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return false
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err != nil // another module
}
