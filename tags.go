package creatify

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// plan is what the tags of a struct type say.
type plan struct {
	fields   []field
	problems []Problem // of the type; their fields are not among the others
}

type field struct {
	name                string
	kind                VariableType // "" or rawKind where the field is a whole variable
	path                string       // in Go, such as Order.Photo
	index               []int        // through the embedded structs
	base                reflect.Type // of what the field is, or points to
	pointer             bool
	omitEmpty, omitZero bool
	writes, reads       form
}

// form is the way in which a Go value is written or read.
type form int

const (
	formNone form = iota
	formVariable
	formRaw
	formText // by MarshalText and UnmarshalText
	formURL
	formString
	formStringer
	formScalar
)

const rawKind VariableType = "raw"

var kinds = []VariableType{TypeText, TypeImage, TypeVideo, TypeAudio, TypeAvatar, TypeVoiceover, rawKind}

var (
	variableType = reflect.TypeFor[Variable]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)

// plans keeps the plan of each type, as encoding/json does: a type is the same for everybody, and so is its plan.
var plans sync.Map // of *plan, by reflect.Type

func planOf(t reflect.Type) *plan {
	p, ok := plans.Load(t)
	if !ok {
		p, _ = plans.LoadOrStore(t, newPlan(t))
	}
	return p.(*plan)
}

func (p *plan) findings(call string) *findings {
	found := &findings{call: call}
	for _, problem := range p.problems {
		found.add(problem.Field, problem.Message)
	}
	return found
}

// in finds the field, unless an embedded pointer on the way is nil, and is not to be set, or cannot be.
func (f *field) in(v reflect.Value, set bool) (reflect.Value, bool) {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !set || !v.CanSet() {
					return reflect.Value{}, false
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}

// layer is a struct at some depth: the outer one, or one embedded.
type layer struct {
	typ   reflect.Type
	path  string
	index []int
}

type owner struct {
	depth int
	path  string
}

type planner struct {
	plan
	owners map[string]owner // of the names of variables
	next   []layer
}

// newPlan goes through the embedded structs by depth. A type that a lesser depth has is not looked at again: it could add
// nothing, and may contain itself.
func newPlan(t reflect.Type) *plan {
	p := &planner{owners: map[string]owner{}}
	visited := map[reflect.Type]bool{}
	current := []layer{{typ: t, path: nameOf(t)}}
	for depth := 0; len(current) > 0; depth++ {
		p.next = nil
		for _, l := range current {
			visited[l.typ] = true
			p.addLayer(l, depth)
		}
		current = slices.DeleteFunc(p.next, func(l layer) bool { return visited[l.typ] })
	}
	return &p.plan
}

func nameOf(t reflect.Type) string {
	if t.Name() == "" {
		return "struct"
	}
	return t.Name()
}

func (p *planner) addLayer(l layer, depth int) {
	for sf := range l.typ.Fields() {
		path, index := l.path+"."+sf.Name, append(slices.Clone(l.index), sf.Index...)
		tag, tagged := sf.Tag.Lookup("creatify")
		switch {
		case tag == "-":
		case tagged:
			p.addField(sf, tag, field{path: path, index: index}, depth)
		case sf.Anonymous:
			if t, _ := deref(sf.Type); t.Kind() == reflect.Struct {
				p.next = append(p.next, layer{t, path, index})
			}
		}
	}
}

func (p *planner) addField(sf reflect.StructField, tag string, f field, depth int) {
	problem := f.parseTag(tag)
	if prior, taken := p.owners[f.name]; taken && prior.depth < depth {
		return
	} else if taken {
		p.refuse(f, fmt.Sprintf("the variable %q is also that of %s", f.name, prior.path))
		return
	}
	if f.name != "" {
		p.owners[f.name] = owner{depth, f.path}
	}
	f.base, f.pointer = deref(sf.Type)
	f.writes, f.reads = writeForm(f.base), readForm(f.base)
	if problem == "" {
		problem = f.misfit()
	}
	switch {
	case !sf.IsExported():
		p.refuse(f, "has a tag but is not exported")
	case problem != "":
		p.refuse(f, problem)
	default:
		p.fields = append(p.fields, f)
	}
}

func (p *planner) refuse(f field, problem string) {
	p.problems = append(p.problems, Problem{f.path, problem})
}

func (f *field) parseTag(tag string) (problem string) {
	name, rest, _ := strings.Cut(tag, ",")
	f.name = name
	for part := range strings.SplitSeq(rest, ",") {
		switch kind := VariableType(part); {
		case part == "":
		case part == "omitempty":
			f.omitEmpty = true
		case part == "omitzero":
			f.omitZero = true
		case !slices.Contains(kinds, kind):
			return fmt.Sprintf("the tag has the unknown kind or option %q; the kinds are %s", part, kindList())
		case f.kind != "":
			return "the tag has two kinds"
		default:
			f.kind = kind
		}
	}
	if f.name == "" {
		return "the tag has no name"
	}
	return ""
}

func kindList() string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = string(kind)
	}
	return strings.Join(names, ", ")
}

// misfit says what is wrong with the kind for the field's type.
func (f *field) misfit() string {
	switch {
	case f.base == rawType:
		if f.kind != "" && f.kind != rawKind {
			return "a json.RawMessage is a whole variable: its kind is raw, or none"
		}
	case f.kind == rawKind:
		return "the kind raw is for a json.RawMessage"
	case f.base == variableType:
	case f.kind == "":
		return "the tag has no kind; the kinds are " + kindList()
	case f.writes == formScalar && f.kind != TypeText:
		return fmt.Sprintf("has type %v, which is for text only", f.base)
	}
	return ""
}

// deref goes through one pointer; a pointer to a pointer has no use here.
func deref(t reflect.Type) (base reflect.Type, pointer bool) {
	if t.Kind() == reflect.Pointer {
		return t.Elem(), true
	}
	return t, false
}

func writeForm(t reflect.Type) form {
	switch f := plainForm(t); {
	case f == formVariable || f == formRaw || t.Kind() == reflect.Pointer:
		return f
	case has[encoding.TextMarshaler](t):
		return formText
	case f == formString:
		return f
	case has[fmt.Stringer](t):
		return formStringer
	default:
		return f
	}
}

// readForm is the inverse of writeForm, where there is one.
func readForm(t reflect.Type) form {
	switch f := plainForm(t); {
	case f == formVariable || f == formRaw || t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		return f
	case has[encoding.TextUnmarshaler](t):
		return formText
	case t == reflect.TypeFor[url.URL]():
		return formURL
	case writeForm(t) == f:
		return f
	}
	return formNone
}

// plainForm is that of a type without regard to its methods.
func plainForm(t reflect.Type) form {
	switch k := t.Kind(); {
	case t == variableType:
		return formVariable
	case t == rawType:
		return formRaw
	case k == reflect.String:
		return formString
	case k >= reflect.Bool && k <= reflect.Uint64 || k == reflect.Float32 || k == reflect.Float64:
		return formScalar
	}
	return formNone
}

// has says whether a type, or a pointer to it, has the methods of T.
func has[T any](t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[T]()) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(reflect.TypeFor[T]())
}
