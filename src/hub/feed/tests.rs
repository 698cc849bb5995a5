//! A feed against a model that forgets nothing, and feeds that race with publishers.

mod model;
mod property;
mod races;
mod reader;
