"""The folder of assets: which file is what. Everything is read once and kept."""

import functools
import glob
import os

import formats
import person

VARIABLE = "MAKEHUMAN_ASSETS"
BODY = "makehuman/data/3dobjs/base.obj"
EYES = "makehuman/data/eyes/high-poly/high-poly.mhclo"
TEETH = "assets/base/teeth/teeth_base/teeth_base.mhclo"
TARGETS = "makehuman/data/targets"
BROWS = "assets/base/eyebrows/eyebrow0*/*.mhclo"
HAIR = "assets/base/hair/*/*.mhclo"
SKIN_TEXTURES = "public/data/skins/*/textures/*diffuse*.png"
EYE_TEXTURES = "public/data/proxies/eyes/HighPolyEyes/textures/*.png"
TEETH_TEXTURES = "public/data/proxies/teeth/*/textures/*.png"
BROW_TEXTURES = "public/data/proxies/eyebrows/*/textures/*.png"
HAIR_TEXTURES = "public/data/proxies/hair/*/textures/*.png"


class MissingAssets(Exception):
    """No assets, or not all of them; says where and what to do."""


class Assets:
    """Meshes, morphs and textures of one assets folder."""

    def __init__(self, root):
        self.root = root
        self.cache = {}
        self.base = self.read(BODY, functools.partial(formats.read_obj, group="body"))
        self.eyes = self.read(EYES, formats.read_proxy)
        self.teeth = self.read(TEETH, formats.read_proxy)
        self.teeth_texture = self.texture(self.paths(TEETH_TEXTURES)[0])
        self.eye_textures = self.paths(EYE_TEXTURES)
        self.skins = self.by_folder(SKIN_TEXTURES, 1)
        self.brow_proxies = self.paths(BROWS)
        self.brow_textures = self.by_folder(BROW_TEXTURES, 1)
        self.hair_proxies = self.by_folder(HAIR, 0)
        self.hair_textures = self.by_folder(HAIR_TEXTURES, 1)

    @functools.cached_property
    def catalogue(self):
        """What there is to draw from (`person.Catalogue`)."""
        eyes = tuple(os.path.basename(path).split("_")[0] for path in self.eye_textures)
        skins = {name: len(paths) for name, paths in self.skins.items()}
        return person.Catalogue(skins, eyes, len(self.brow_proxies))

    def target(self, name):
        """Morph `name`, as `head/head-oval`: (indices, offsets)."""
        return self.read(f"{TARGETS}/{name}.target", formats.read_target)

    def texture(self, path):
        """RGBA f32 [H, W, 4], linear; callers copy before they change it."""
        return self.read(path, formats.read_texture)

    def skin(self, name, index):
        """The texture of a skin."""
        return self.texture(self.skins[name][index])

    def eye(self, index):
        """The texture of an eye colour."""
        return self.texture(self.eye_textures[index])

    def brow(self, index):
        """(proxy, texture) of a shape of eyebrows."""
        path = self.brow_proxies[index]
        texture = self.brow_textures[folder_name(path, 0)][0]
        return self.read(path, formats.read_proxy), self.texture(texture)

    def hair(self, style):
        """(proxy, strands) of a hair style; strands as `formats.read_strands`."""
        proxy = self.read(self.hair_proxies[style][0], formats.read_proxy)
        return proxy, self.read(self.hair_textures[style][0], formats.read_strands)

    def read(self, path, reader):
        """What `reader` makes of a file under the root; the first time it is asked for."""
        if path not in self.cache:
            try:
                self.cache[path] = reader(os.path.join(self.root, path))
            except FileNotFoundError as error:
                raise missing(self.root, error.filename) from None
        return self.cache[path]

    def paths(self, pattern):
        """Paths from the root, sorted, as the order is what an index means; none is an error."""
        found = sorted(glob.glob(pattern, root_dir=self.root))
        if not found:
            raise missing(self.root, pattern)
        return found

    def by_folder(self, pattern, up):
        """{name of the folder, `up` levels above the file's: its paths}."""
        folders = {}
        for path in self.paths(pattern):
            folders.setdefault(folder_name(path, up), []).append(path)
        return folders


def folder_name(path, up):
    """The name of the folder that a path lies in, or of one `up` levels above, in lower case."""
    return path.split(os.sep)[-2 - up].lower()


def missing(root, what):
    """The error of an incomplete folder."""
    repair = f"unpack assets.tar.xz and set {VARIABLE} to its folder"
    return MissingAssets(f"{root}: no {what}; {repair}")


@functools.cache
def shared(root):
    """The assets of `root`, one copy a process."""
    return Assets(root)


def folder():
    """The assets folder that the environment names."""
    root = os.environ.get(VARIABLE)
    if not root:
        raise MissingAssets(f"{VARIABLE} is not set: unpack assets.tar.xz and name its folder")
    return root
