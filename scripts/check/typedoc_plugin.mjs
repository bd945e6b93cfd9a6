// A plugin for typedoc: shapes what it has read the way in which docs/api shows it.
import { Converter, ReflectionKind } from 'typedoc';

/** After every part is known, before typedoc groups and links them. */
const BEFORE_GROUPING = 1000;
/** After typedoc has found out what overrides what. */
const AT_THE_END = -1000;

/** Static members that only tfjs calls. */
const FOR_TFJS = ['className', 'fromConfig'];

/**
 * Functions of a namespace become functions of the module that exports it, under the name by which users call them: a
 * namespace `ftp` with a function `adamw` gives `ftp.adamw`, on the same page as everything else of the entry.
 */
function liftNamespaces(project) {
  for (const namespace of project.getReflectionsByKind(ReflectionKind.Namespace)) {
    const { parent } = namespace;
    for (const child of [...(namespace.children ?? [])]) {
      namespace.removeChild(child);
      child.name = `${namespace.name}.${child.name}`;
      for (const signature of child.signatures ?? []) signature.name = child.name;
      child.parent = parent;
      parent.addChild(child);
    }
    project.removeReflection(namespace);
  }
}

/** Inherited members stand once, where they are declared; a subclass links there. */
function dropInherited(project) {
  for (const type of project.getReflectionsByKind(ReflectionKind.ClassOrInterface)) {
    for (const member of [...(type.children ?? [])]) {
      const inherited = member.inheritedFrom && !member.kindOf(ReflectionKind.Constructor);
      const forTfjs = member.flags.isStatic && FOR_TFJS.includes(member.name);
      if (inherited || forTfjs) project.removeReflection(member);
    }
  }
}

/** What a member overrides or implements is of no use to a reader. */
function dropOrigins(project) {
  for (const reflection of Object.values(project.reflections)) {
    delete reflection.overwrites;
    delete reflection.inheritedFrom;
    delete reflection.implementationOf;
  }
}

/** The factories of the optimizers come before everything else, in whichever file that is. */
function factoriesFirst(project) {
  const isFactory = ({ name }) => name.startsWith('ftp.');
  for (const module of [project, ...project.getReflectionsByKind(ReflectionKind.Module)]) {
    for (const group of module.groups ?? []) {
      group.children.sort((a, b) => Number(isFactory(b)) - Number(isFactory(a)));
    }
  }
}

export function load(application) {
  const { converter } = application;
  converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => liftNamespaces(project), BEFORE_GROUPING);
  converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => dropInherited(project), BEFORE_GROUPING);
  converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => dropOrigins(project), AT_THE_END);
  converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => factoriesFirst(project), AT_THE_END);
}
