//! RAND, RAND_INTEGER, UUID.
//!
//! What follows from a seed is what follows from it in Java, and so in Flink. Several tasks of one process
//! may share a seed's numbers; what is random without a seed is neither secret nor Java's.

use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::types::{Float64Type, Int32Type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    call::{Builtin, Call, Resolved, Stability, Want},
    columns::{Columns, Numbers},
    types::of,
};

use Want::Int;

const fn volatile(
    name: &'static str,
    signature: &'static str,
    resolve: fn(&Call<'_>) -> Resolved,
) -> Builtin {
    Builtin { name, signature, stability: Stability::Volatile, resolve }
}

pub(super) const FUNCTIONS: &[Builtin] = &[
    volatile("RAND", "RAND([seed])", |call| {
        let kept = Kept::default();
        call.optional(0, &[Int], SqlDataType::not_null(SqlTypeKind::Double), move |c| {
            if c.len() == 0 {
                let mut random = Random::fresh(c);
                return c.make_numbers::<Float64Type>(|_| Some(random.double()));
            }
            let mut seeds = Seeds::new(c.numbers::<Int32Type>(0)?, &kept);
            c.make_numbers::<Float64Type>(|row| Some(seeds.at(row)?.double()))
        })
    }),
    volatile("RAND_INTEGER", "RAND_INTEGER([seed, ]bound)", |call| {
        let result = of(SqlTypeKind::Int, call.nullable());
        let kept = Kept::default();
        call.optional(1, &[Int, Int], result, move |c| {
            let last = c.len() - 1;
            let bound = c.numbers::<Int32Type>(last)?;
            if last == 0 {
                let mut random = Random::fresh(c);
                return c.make_numbers::<Int32Type>(|row| {
                    let bound = bound.get(row)?;
                    Some(if bound > 0 { (random.double() * f64::from(bound)) as i32 } else { 0 })
                });
            }
            let mut seeds = Seeds::new(c.numbers::<Int32Type>(0)?, &kept);
            c.make_numbers::<Int32Type>(|row| {
                let (random, bound) = (seeds.at(row)?, bound.get(row)?);
                Some(if bound > 0 { random.below(bound) } else { 0 })
            })
        })
    }),
    volatile("UUID", "UUID()", |call| {
        call.optional(0, &[], SqlDataType::not_null(SqlTypeKind::Char(36)), |c| {
            let mut random = Random::fresh(c);
            c.make_texts(|_| {
                let bits = (u128::from(random.next()) << 64) | u128::from(random.next());
                let bits = bits & !(0xF << 76) | (4 << 76);
                let bits = bits & !(0x3 << 62) | (2 << 62);
                let text = format!("{bits:032x}");
                Some(
                    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"),
                )
            })
        })
    }),
];

/// A source of numbers that look random (SplitMix64): neither secret nor Java's.
struct Random(u64);

impl Random {
    fn fresh(c: &Columns<'_>) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = CALLS.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        Self((c.context.clock.now_ms() as u64).rotate_left(32) ^ call)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn double(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The numbers that follow from a seed: those of `java.util.Random`, so that they are Flink's.
struct SeededRandom(u64);

impl SeededRandom {
    const FACTOR: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;

    fn new(seed: i32) -> Self {
        Self((i64::from(seed) as u64 ^ Self::FACTOR) & Self::MASK)
    }

    fn bits(&mut self, bits: u32) -> u64 {
        self.0 = self.0.wrapping_mul(Self::FACTOR).wrapping_add(0xB) & Self::MASK;
        self.0 >> (48 - bits)
    }

    fn double(&mut self) -> f64 {
        let high = self.bits(26) << 27;
        (high + self.bits(27)) as f64 / (1u64 << 53) as f64
    }

    /// Less than a bound, which is positive.
    fn below(&mut self, bound: i32) -> i32 {
        if bound & (bound - 1) == 0 {
            return ((bound as u64 * self.bits(31)) >> 31) as i32;
        }
        loop {
            let bits = self.bits(31) as i32;
            let value = bits % bound;
            // Else there would be more of the small numbers.
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
        }
    }
}

/// What a call with a constant seed gives goes on from batch to batch.
type Kept = Mutex<Option<SeededRandom>>;

/// The numbers of a batch. Those of a seed that is no constant are of its row alone.
struct Seeds<'a> {
    seeds: Numbers<'a, Int32Type>,
    constant: Option<MutexGuard<'a, Option<SeededRandom>>>,
    of_row: SeededRandom,
}

impl<'a> Seeds<'a> {
    fn new(seeds: Numbers<'a, Int32Type>, kept: &'a Kept) -> Self {
        let constant = seeds.constant().map(|seed| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert_with(|| SeededRandom::new(seed));
            kept
        });
        Self { seeds, constant, of_row: SeededRandom::new(0) }
    }

    fn at(&mut self, row: usize) -> Option<&mut SeededRandom> {
        let seed = self.seeds.get(row)?;
        match &mut self.constant {
            Some(random) => random.as_mut(),
            None => {
                self.of_row = SeededRandom::new(seed);
                Some(&mut self.of_row)
            }
        }
    }
}
