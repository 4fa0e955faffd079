//! Finding the structure of a type by asking its `Deserialize`.
//!
//! A deserializer sees which kind of value is asked for at each place, and answers with samples. It
//! takes several passes over the type:
//!
//! 1. Each pass walks down from the root. What is seen at a place is kept in its node.
//! 2. A pass can go only one way at each enum, and ends early where a sample is refused or a type
//!    turns out to contain itself. The next pass tries another variant, another sample, or leaves
//!    the option or sequence out whose content is known by then.
//! 3. When every node is known the walk is over. When passes bring nothing new, or there are too
//!    many, the structure cannot be found out.
//!
//! A type that contains itself is recognised by the type of its visitor, which is on the stack
//! already. Where such a value is needed to get on, one is made from what is known of the outer
//! node, the shortest way: nothing in options and sequences, a variant that has been made before.

use std::{any::type_name, fmt, panic::AssertUnwindSafe};

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use super::Schema;

const MAX_PASSES: usize = 10_000;
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 128;
/// Times that a variant is tried before it is given up.
const MAX_TRIES: u32 = 24;
/// Passes that fail although every sample is accepted by itself; each takes other samples.
const MAX_ROUNDS: usize = 12;

/// Texts that common types can be parsed from.
const TEXTS: [&str; 12] = [
    "",
    "1",
    "a",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01",
    "00:00:00",
    "127.0.0.1",
    "127.0.0.1:1",
    "00000000-0000-0000-0000-000000000000",
    "http://a/",
    "UTC",
];
const LENGTHS: [usize; 9] = [0, 16, 4, 8, 1, 12, 20, 32, 64];
const ZEROS: [u8; 64] = [0; 64];

/// The schema of a type, if it can be found out.
pub(super) fn trace<T: DeserializeOwned>() -> Option<Schema> {
    let mut tracer = Tracer::default();
    tracer.nodes.push(Node::Unseen);
    for _ in 0..MAX_PASSES {
        tracer.changed = false;
        tracer.stack.clear();
        tracer.depth = 0;
        // User code may take a sample badly; that is no reason to fail a job.
        let pass = AssertUnwindSafe(|| T::deserialize(At::new(&mut tracer, 0)).is_ok());
        let Ok(built) = std::panic::catch_unwind(pass) else {
            return None;
        };
        if tracer.is_done(0) {
            return tracer.schema(0, &mut Vec::new());
        }
        if !tracer.changed {
            tracer.round += 1;
            if built || tracer.round > MAX_ROUNDS {
                return None;
            }
        }
    }
    None
}

/// The walk cannot go on here in this pass.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a schema cannot be traced further here")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[derive(Clone, Debug)]
enum Node {
    Unseen,
    Leaf { name: &'static str, attempt: usize, done: bool },
    Option(usize),
    Sequence(usize),
    Map(usize, usize),
    Tuple(Vec<usize>),
    Struct(&'static [&'static str], Vec<usize>),
    Enum(Vec<VariantNode>),
    Enclosing(usize),
    Opaque,
}

#[derive(Clone, Debug)]
struct VariantNode {
    name: &'static str,
    content: usize,
    tries: u32,
    built: bool,
}

#[derive(Default)]
struct Tracer {
    nodes: Vec<Node>,
    /// Named types that are being walked, by the type of their visitor.
    stack: Vec<(&'static str, usize)>,
    depth: usize,
    round: usize,
    changed: bool,
}

impl Tracer {
    fn fresh(&mut self) -> usize {
        self.nodes.push(Node::Unseen);
        self.nodes.len() - 1
    }

    fn fresh_list(&mut self, count: usize) -> Vec<usize> {
        let count = if self.nodes.len() + count > MAX_NODES { 0 } else { count };
        (0..count).map(|_| self.fresh()).collect()
    }

    fn is_done(&self, node: usize) -> bool {
        match &self.nodes[node] {
            Node::Unseen => false,
            Node::Leaf { done, .. } => *done,
            Node::Option(content) | Node::Sequence(content) => self.is_done(*content),
            Node::Map(key, value) => self.is_done(*key) && self.is_done(*value),
            Node::Tuple(fields) | Node::Struct(_, fields) => {
                fields.iter().all(|field| self.is_done(*field))
            }
            Node::Enum(variants) => variants.iter().all(|variant| self.is_done(variant.content)),
            Node::Enclosing(_) | Node::Opaque => true,
        }
    }

    /// The variant to go into: one of which something is not known yet, else one that can be made.
    fn choose(&mut self, node: usize, building: bool) -> Option<usize> {
        let Node::Enum(variants) = &self.nodes[node] else { return None };
        let open =
            |variant: &&VariantNode| variant.tries < MAX_TRIES && !self.is_done(variant.content);
        let open = variants.iter().filter(open).min_by_key(|variant| variant.tries);
        let built = || variants.iter().position(|variant| variant.built);
        let index = match open.filter(|_| !building) {
            Some(open) => variants.iter().position(|variant| variant.content == open.content),
            None => built().or_else(|| {
                let least = variants.iter().min_by_key(|variant| variant.tries)?;
                variants.iter().position(|variant| variant.content == least.content)
            }),
        }?;
        if let Node::Enum(variants) = &mut self.nodes[node]
            && !variants[index].built
            && variants[index].tries < MAX_TRIES
        {
            variants[index].tries += 1;
            self.changed = true;
        }
        Some(index)
    }

    fn schema(&self, node: usize, path: &mut Vec<usize>) -> Option<Schema> {
        path.push(node);
        let all = |fields: &[usize], path: &mut Vec<usize>| -> Option<Vec<Schema>> {
            fields.iter().map(|field| self.schema(*field, path)).collect()
        };
        let schema = match &self.nodes[node] {
            Node::Unseen | Node::Opaque => return None,
            Node::Leaf { name, .. } => Schema::Scalar((*name).to_owned()),
            Node::Option(content) => Schema::Option(Box::new(self.schema(*content, path)?)),
            Node::Sequence(element) => Schema::Sequence(Box::new(self.schema(*element, path)?)),
            Node::Map(key, value) => Schema::Map(
                Box::new(self.schema(*key, path)?),
                Box::new(self.schema(*value, path)?),
            ),
            Node::Tuple(fields) => {
                let mut fields = all(fields, path)?;
                let equal = fields.len() > 3 && fields.windows(2).all(|pair| pair[0] == pair[1]);
                let length = fields.len() as u32;
                match fields.pop() {
                    Some(last) if equal => Schema::Array(Box::new(last), length),
                    last => {
                        fields.extend(last);
                        Schema::Tuple(fields)
                    }
                }
            }
            Node::Struct(names, fields) => {
                let names = names.iter().map(|name| (*name).to_owned());
                Schema::Struct(names.zip(all(fields, path)?).collect())
            }
            Node::Enum(variants) => {
                let variants = variants.iter().map(|variant| {
                    Some((variant.name.to_owned(), self.schema(variant.content, path)?))
                });
                Schema::Enum(variants.collect::<Option<_>>()?)
            }
            Node::Enclosing(target) => {
                let at = path.iter().position(|outer| outer == target)?;
                Schema::Enclosing((path.len() - 1 - at) as u32)
            }
        };
        path.pop();
        Some(schema)
    }
}

/// A place in the type.
struct At<'t> {
    tracer: &'t mut Tracer,
    node: usize,
    /// Nothing is to be found out: a value is needed, the shortest way.
    building: bool,
}

impl<'t> At<'t> {
    fn new(tracer: &'t mut Tracer, node: usize) -> Self {
        Self { tracer, node, building: false }
    }

    fn child(&mut self, node: usize) -> At<'_> {
        At { tracer: self.tracer, node, building: self.building }
    }

    fn current(&self) -> &Node {
        &self.tracer.nodes[self.node]
    }

    /// The node, made by `fresh` if this place has not been seen.
    fn seen(&mut self, fresh: impl FnOnce(&mut Tracer) -> Node) -> Node {
        if matches!(self.current(), Node::Unseen) {
            let node = fresh(self.tracer);
            self.tracer.nodes[self.node] = node;
            self.tracer.changed = true;
        }
        self.current().clone()
    }

    fn deeper(&mut self) -> Result<(), Stop> {
        self.tracer.depth += 1;
        if self.tracer.depth > MAX_DEPTH || self.tracer.nodes.len() > MAX_NODES {
            return Err(Stop);
        }
        Ok(())
    }

    fn leaf<R>(
        mut self,
        name: &'static str,
        samples: usize,
        visit: impl FnOnce(usize) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let leaf = self.seen(|_| Node::Leaf { name, attempt: 0, done: false });
        let Node::Leaf { name: known, attempt, .. } = leaf else {
            return self.contradiction();
        };
        if known != name {
            return self.contradiction();
        }
        let result = visit((attempt + self.tracer.round) % samples);
        if let Node::Leaf { attempt, done, .. } = &mut self.tracer.nodes[self.node] {
            if result.is_ok() || *attempt >= samples {
                self.tracer.changed |= !*done;
                *done = true;
            } else {
                *attempt += 1;
                self.tracer.changed = true;
            }
        }
        result
    }

    /// The type asks for something else than before: it has no structure that can be relied on.
    fn contradiction<R>(self) -> Result<R, Stop> {
        self.tracer.nodes[self.node] = Node::Opaque;
        Err(Stop)
    }

    /// Walks a type that has a name, unless it is being walked already.
    fn named<R>(
        mut self,
        visitor: &'static str,
        walk: impl FnOnce(At<'_>) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        self.deeper()?;
        if let Node::Enclosing(target) = *self.current() {
            let building = At { tracer: self.tracer, node: target, building: true };
            let result = walk(building);
            self.tracer.depth -= 1;
            return result;
        }
        let outer = self.tracer.stack.iter().find(|(name, _)| *name == visitor);
        if let Some((_, outer)) = outer.filter(|_| !self.building) {
            let outer = *outer;
            self.seen(|_| Node::Enclosing(outer));
            return Err(Stop);
        }
        self.tracer.stack.push((visitor, self.node));
        let height = self.tracer.stack.len();
        let result = walk(self.child_at_same_node());
        self.tracer.stack.truncate(height - 1);
        self.tracer.depth -= 1;
        result
    }

    fn child_at_same_node(&mut self) -> At<'_> {
        let node = self.node;
        self.child(node)
    }

    fn fields<'de, V: Visitor<'de>>(
        mut self,
        fields: Vec<usize>,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let mut fields = fields.into_iter();
        visitor.visit_seq(Elements { at: self.child_at_same_node(), nodes: &mut fields })
    }

    fn tuple<'de, V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        match self.seen(|tracer| Node::Tuple(tracer.fresh_list(len))) {
            Node::Tuple(fields) if fields.len() == len => self.fields(fields, visitor),
            _ => self.contradiction(),
        }
    }

    fn structure<'de, V: Visitor<'de>>(
        mut self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.seen(|tracer| Node::Struct(names, tracer.fresh_list(names.len()))) {
            Node::Struct(_, fields) if fields.len() == names.len() => self.fields(fields, visitor),
            _ => self.contradiction(),
        }
    }

    fn enumeration<'de, V: Visitor<'de>>(
        mut self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let known = self.seen(|tracer| {
            let contents = tracer.fresh_list(names.len());
            let variants = names.iter().zip(contents).map(|(name, content)| VariantNode {
                name,
                content,
                tries: 0,
                built: false,
            });
            Node::Enum(variants.collect())
        });
        if !matches!(known, Node::Enum(variants) if variants.len() == names.len()) {
            return self.contradiction();
        }
        let (node, building) = (self.node, self.building);
        let index = self.tracer.choose(node, building).ok_or(Stop)?;
        let value = visitor.visit_enum(VariantAt { at: self.child_at_same_node(), index })?;
        if let Node::Enum(variants) = &mut self.tracer.nodes[node]
            && !variants[index].built
        {
            variants[index].built = true;
            self.tracer.changed = true;
        }
        Ok(value)
    }

    /// True if the content of an option or sequence is to be walked.
    fn wants(&self, content: usize) -> bool {
        !self.building && !self.tracer.is_done(content)
    }
}

macro_rules! scalars {
    ($($deserialize:ident $visit:ident $name:literal $samples:expr;)*) => {
        $(
            fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
                let samples = $samples;
                self.leaf($name, samples.len(), |n| visitor.$visit(samples[n]))
            }
        )*
    };
}

impl<'de> de::Deserializer<'de> for At<'_> {
    type Error = Stop;

    scalars! {
        deserialize_bool visit_bool "bool" [true, false];
        deserialize_i8 visit_i8 "i8" [1, 0, 2, 10];
        deserialize_i16 visit_i16 "i16" [1, 0, 2, 10];
        deserialize_i32 visit_i32 "i32" [1, 0, 2, 10];
        deserialize_i64 visit_i64 "i64" [1, 0, 2, 10];
        deserialize_i128 visit_i128 "i128" [1, 0, 2, 10];
        deserialize_u8 visit_u8 "u8" [1, 0, 2, 10];
        deserialize_u16 visit_u16 "u16" [1, 0, 2, 10];
        deserialize_u32 visit_u32 "u32" [1, 0, 2, 10];
        deserialize_u64 visit_u64 "u64" [1, 0, 2, 10];
        deserialize_u128 visit_u128 "u128" [1, 0, 2, 10];
        deserialize_f32 visit_f32 "f32" [1.0, 0.0, 0.5];
        deserialize_f64 visit_f64 "f64" [1.0, 0.0, 0.5];
        deserialize_char visit_char "char" ['a', '0', 'A'];
        deserialize_str visit_str "string" TEXTS;
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.leaf("string", TEXTS.len(), |n| visitor.visit_string(TEXTS[n].to_owned()))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.leaf("bytes", LENGTHS.len(), |n| visitor.visit_bytes(&ZEROS[..LENGTHS[n]]))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.leaf("bytes", LENGTHS.len(), |n| visitor.visit_byte_buf(vec![0; LENGTHS[n]]))
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        match self.seen(|_| Node::Tuple(Vec::new())) {
            Node::Tuple(fields) if fields.is_empty() => visitor.visit_unit(),
            _ => self.contradiction(),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        let Node::Option(content) = self.seen(|tracer| Node::Option(tracer.fresh())) else {
            return self.contradiction();
        };
        if self.wants(content) {
            visitor.visit_some(self.child(content))
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        // Such a struct lies in state as its content: it has no node of its own.
        self.named(type_name::<V>(), |at| visitor.visit_newtype_struct(at))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        let Node::Sequence(element) = self.seen(|tracer| Node::Sequence(tracer.fresh())) else {
            return self.contradiction();
        };
        self.deeper()?;
        let elements = if self.wants(element) { vec![element] } else { Vec::new() };
        let mut elements = elements.into_iter();
        let access = Elements { at: self.child_at_same_node(), nodes: &mut elements };
        let result = visitor.visit_seq(access);
        self.tracer.depth -= 1;
        result
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named(type_name::<V>(), |at| at.tuple(len, visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        let map = self.seen(|tracer| Node::Map(tracer.fresh(), tracer.fresh()));
        let Node::Map(key, value) = map else {
            return self.contradiction();
        };
        let entry = (self.wants(key) || self.wants(value)).then_some(());
        visitor.visit_map(Entries { at: self, entry, key, value })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named(type_name::<V>(), |at| at.structure(fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named(type_name::<V>(), |at| at.enumeration(variants, visitor))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        // The codec cannot read such a type either.
        self.contradiction()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.contradiction()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.contradiction()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Some nodes, one after the other.
struct Elements<'a, 't> {
    at: At<'t>,
    nodes: &'a mut std::vec::IntoIter<usize>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        match self.nodes.next() {
            Some(node) => seed.deserialize(self.at.child(node)).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len())
    }
}

/// One entry, or none.
struct Entries<'t> {
    at: At<'t>,
    entry: Option<()>,
    key: usize,
    value: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        match self.entry.take() {
            Some(()) => seed.deserialize(self.at.child(self.key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self.at.child(self.value))
    }
}

/// One variant of an enum.
struct VariantAt<'t> {
    at: At<'t>,
    index: usize,
}

impl<'de, 't> de::EnumAccess<'de> for VariantAt<'t> {
    type Error = Stop;
    type Variant = At<'t>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, At<'t>), Stop> {
        let Node::Enum(variants) = self.at.current() else { return Err(Stop) };
        let content = variants[self.index].content;
        let index: de::value::U32Deserializer<Stop> = (self.index as u32).into_deserializer();
        let value = seed.deserialize(index)?;
        Ok((value, At { node: content, ..self.at }))
    }
}

impl<'de> de::VariantAccess<'de> for At<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        <() as Deserialize>::deserialize(self)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.structure(fields, visitor)
    }
}
